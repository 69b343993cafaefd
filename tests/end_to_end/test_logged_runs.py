"""Real runs that log to TensorBoard and W&B, are killed and go on: what is read back of them."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_server import serving

from forked import Run, at, signal_self

pytestmark = pytest.mark.long

MODULE = "irodori.training.module:ColorizationModule"
CHECKPOINTS = "irodori.training.callbacks.checkpoints:Checkpoints"
WANDB = str(Path(sys.executable).with_name("wandb"))
COMMON = ["experiment=quick", "trainer.max_epochs=3", "trainer.max_steps=-1", "optimizer=adamw"]


def start(place, data, *overrides, **options):
    """A run of nine steps in `place/run`."""
    on = [setting for setting in data.on if setting not in ("logger=csv", "trainer.max_epochs=1")]
    chosen = f'hydra.run.dir="{place / "run"}"'
    return Run(place, *COMMON, *on, *overrides, chosen, **options)


def resume(place, *overrides, **options):
    return Run(place, f'resume="{place / "run"}"', *overrides, **options)


def killed_after_validation(place, data, *overrides, **options):
    """A run that is killed when its second validation is logged and no checkpoint is after it."""
    hook = (at, CHECKPOINTS, "on_train_epoch_end", 2, signal_self, signal.SIGKILL)
    run = start(place, data, *overrides, hook=hook, **options)
    assert run.end() == [-signal.SIGKILL], run.output
    return run


def ended(run):
    assert run.end() == [0], run.output
    assert "Traceback" not in run.output
    return run.output.splitlines()


def logged(folder):
    """metrics.csv: for each name its values by step, the first where a step has several."""
    found = {}
    for row in csv.DictReader((folder / "metrics.csv").open()):
        for name in row.keys() - {"step"}:
            if row[name]:
                found.setdefault(name, {}).setdefault(int(row["step"]), float(row[name]))
    return found


def config_of(folder):
    """The run's configuration as loggers get it."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return {name: x for name, x in config.items() if name not in ("resume", "allow_changes")}


def test_tensorboard_shows_each_step_once_though_the_run_was_killed(data, tmp_path):
    run = killed_after_validation(
        tmp_path, data, "logger=tensorboard", "callbacks.pictures.count=3"
    )
    folder = tmp_path / "run" / "tensorboard"
    line = f"TensorBoard: tensorboard --logdir {folder}"
    assert line in run.output.splitlines()
    before = EventAccumulator(str(folder))
    before.Reload()
    assert [event.step for event in before.Scalars("val/chroma_rmse")] == [2, 5]
    assert line in ended(resume(tmp_path))

    shown = EventAccumulator(str(folder), {"scalars": 0, "images": 0, "tensors": 0})
    shown.Reload()
    tags = shown.Tags()
    expected = logged(tmp_path / "run")
    assert set(tags["scalars"]) == set(expected)
    assert list(expected["val/chroma_rmse"]) == [2, 5, 8, 9]
    for name, values in expected.items():
        events = shown.Scalars(name)
        assert [event.step for event in events] == list(values)
        assert [event.value for event in events] == pytest.approx(list(values.values()), rel=1e-6)

    assert {name: [event.step for event in shown.Images(name)] for name in tags["images"]} == {
        "pictures": [2, 5, 8],
        "pictures_best": [9],
    }
    last = Image.open(io.BytesIO(shown.Images("pictures")[-1].encoded_image_string))
    assert last.tobytes() == Image.open(tmp_path / "run/pictures/epoch-0003.png").tobytes()

    texts = shown.Tensors("config/text_summary")
    assert [event.step for event in texts] == [0, 5]
    for event in texts:
        text = event.tensor_proto.string_val[0].decode()
        assert yaml.safe_load(text) == config_of(tmp_path / "run")
    # Nothing lies beside the events, nor elsewhere.
    assert all(path.name.startswith("events.") for path in folder.iterdir())
    assert not list(tmp_path.rglob("*lightning_logs*"))


def uploaded_by(url, place, *command):
    """Run W&B's command line against a server; its output."""
    variables = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    variables |= {"WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40, "HOME": str(place)}
    done = subprocess.run(
        [WANDB, *command], env=variables, capture_output=True, text=True, timeout=60, cwd=place
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def expected_rows(folder):
    """What W&B is to hold of a run: figures by step."""
    rows = {}
    for name, values in logged(folder).items():
        for step, value in values.items():
            rows.setdefault(step, {})[name] = value
    return rows


def figures(row):
    """A row of W&B's history without pictures and W&B's own columns."""
    return {
        name: value
        for name, value in row.items()
        if not name.startswith(("_", "pictures")) and isinstance(value, int | float)
    }


def test_offline_runs_of_a_sweep_are_uploaded_by_wandb_sync(data, tmp_path):
    group = {"WANDB_RUN_GROUP": "quick/sweep", "WANDB_TAGS": "first,second"}
    mode = ["logger=wandb", "logger.mode=offline", "alpha=0.5"]
    one, two = tmp_path / "one", tmp_path / "two"
    lines = ended(start(one, data, *mode, "seed=1", **group))
    # Gone on with outside of the sweep, which no variable names any more.
    killed_after_validation(two, data, *mode, "seed=2", **group)
    hook = (at, MODULE, "training_step", 2, signal_self, signal.SIGTERM)
    assert resume(two, hook=hook).end() == [75]
    ended(resume(two))
    (line,) = [line for line in lines if "W&B" in line]
    pattern = f"{one / 'run'}/wandb/offline-run-*"
    assert line == f"W&B: offline (logger.mode); upload later with: wandb sync {pattern}"
    assert not [line for line in lines if "wandb:" in line]

    parts = sorted(path for p in (one, two) for path in p.glob("run/wandb/offline-run-*"))
    # The last part has all; of a killed one W&B has lost the end.
    assert len(parts) == 2
    assert len(list(two.glob("run/wandb/earlier-run-*"))) == 2
    with serving() as server:
        printed = uploaded_by(server.url, tmp_path, "sync", *map(str, parts))
    assert printed.count("Finished syncing") == 2, printed
    assert server.errors == []
    assert len(server.runs) == 2
    for place, seed in ((one, 1), (two, 2)):
        known = json.loads((place / "run" / "wandb" / "run.json").read_text())
        run = server.runs[known["id"]]
        config = config_of(place / "run")
        uploaded = run.config
        assert (uploaded["seed"], uploaded["alpha"]) == (seed, 0.5)
        share = uploaded.pop("setting")
        assert share.startswith("quick alpha=0.5 ")
        assert "data.batch_size=4" in share.split()
        assert "seed" not in share
        assert uploaded.keys() == config.keys()
        assert uploaded["optimizer"] == config["optimizer"]
        assert run.last("displayName").startswith("quick trainer.max_epochs=3 ")
        assert run.last("displayName").endswith(f" alpha=0.5 seed={seed}")
        groups = {upsert["groupName"] for upsert in run.upserts if upsert.get("displayName")}
        assert groups == {"quick/sweep"}
        assert run.last("project") == "irodori"
        assert run.last("tags") == ["first", "second"]
        assert run.exit_code == 0
        expected = expected_rows(place / "run")
        steps = [row["_step"] for row in run.rows]
        assert steps == list(expected) == list(range(10))
        for row in run.rows:
            assert figures(row) == pytest.approx(expected[row["_step"]])
        best = json.loads((place / "run" / "metrics.json").read_text())["rows"]["best"]
        assert run.summary["val/chroma_rmse"]["min"] == pytest.approx(best["chroma_rmse"], abs=1e-4)
        pictures = {name.split("_")[1] for name in run.files if "/pictures_" in name}
        assert pictures == {"2", "5", "8", "best"}
    settings = {run.config["setting"] for run in server.runs.values()}
    assert len(settings) == 1


def test_an_online_run_that_an_agent_of_a_sweep_starts(data, tmp_path):
    # As W&B's agent does: variables, and a file with what it has chosen.
    chosen = {"color_space": {"value": "yuv"}, "seed": {"value": 2}}
    (tmp_path / "chosen.yaml").write_text(yaml.safe_dump({"wandb_version": 1, **chosen}))
    with serving() as server:
        lines = ended(
            start(
                tmp_path,
                data,
                "logger=wandb",
                "trainer.max_epochs=1",
                "color_space=yuv",
                "seed=2",
                WANDB_BASE_URL=server.url,
                WANDB_API_KEY="0" * 40,
                WANDB_SWEEP_ID="sweep123",
                WANDB_RUN_ID="run45678",
                WANDB_PROJECT="sweeps",
                WANDB_ENTITY="someone",
                WANDB_SWEEP_PARAM_PATH=str(tmp_path / "chosen.yaml"),
            )
        )
    assert server.errors == []
    mode, url = [line for line in lines if "W&B" in line]
    assert mode == "W&B: online (key found)"
    assert re.fullmatch(r"W&B: http://\S+/someone/sweeps/runs/run45678", url)
    assert not [line for line in lines if "wandb:" in line]
    (name,) = server.runs
    run = server.runs[name]
    assert name == "run45678"
    assert (run.last("sweep"), run.last("project")) == ("sweep123", "sweeps")
    assert run.exit_code == 0
    # W&B shows parameters of a sweep as the sweep names them.
    assert run.config["color_space"] == "yuv"
    assert run.config["seed"] == 2
    expected = expected_rows(tmp_path / "run")
    assert {row["_step"]: figures(row) for row in run.rows} == {
        step: pytest.approx(row) for step, row in expected.items()
    }
