"""Runs that real signals, kills and full disks interrupt, and that go on: processes of their own.

They are forked off one that has imported everything (see `forked`), but for those that Lightning
starts itself.
"""

import csv
import json
import resource
import signal
import sys
from pathlib import Path

import pytest
import torch

from forked import Run, at, signal_all, signal_self
from irodori.config import PROJECT

sys.path.insert(0, str(PROJECT / "experiments" / "streaming"))
from same_run import differences

pytestmark = pytest.mark.slow

MODULE = "irodori.training.module:ColorizationModule"
COMMON = [
    "trainer.max_epochs=3",
    "callbacks=[default,ema]",
    "callbacks.ema.decay=0.8",
    "callbacks.checkpoints.every_steps=2",
    "optimizer=adamw",
    "scheduler=warmup_cosine",
    "scheduler.warmup=0.4",
    "data.workers=1",
]


def start(place, data, *overrides, **options):
    """A run in `place/run`."""
    chosen = f'hydra.run.dir="{place / "run"}"'
    return Run(place, *data.on, *COMMON, *overrides, chosen, **options)


def resume(place, *overrides, **options):
    return Run(place, f'resume="{place / "run"}"', *overrides, **options)


def last_line(run):
    """The last line of output."""
    assert "Traceback" not in run.output, run.output
    return run.output.splitlines()[-1]


def resume_hint(place):
    return f"resume with: irodori train resume={place / 'run'}"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Gives the folder of a run that nothing happened to, on so many ranks."""
    folders = {}

    def run(ranks):
        if ranks not in folders:
            place = tmp_path_factory.mktemp("whole")
            finished = start(place, data, f"trainer.devices={ranks}", ranks=ranks)
            assert finished.end() == [0] * ranks, finished.output
            assert last_line(finished) == f"run: {place / 'run'}"
            folders[ranks] = place / "run"
        return folders[ranks]

    return run


def test_two_ranks_that_are_killed_go_on_to_the_same_bits(data, whole, tmp_path):
    kill = (at, MODULE, "training_step", 6, signal_all, signal.SIGKILL)
    run = start(tmp_path, data, "trainer.devices=2", ranks=2, hook=kill, hook_rank=1)
    assert run.end() == [-signal.SIGKILL] * 2, run.output
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < last["global_step"] < 6
    run = resume(tmp_path, ranks=2)
    assert run.end() == [0, 0], run.output
    assert differences(whole(2), tmp_path / "run") == []


@pytest.mark.long
def test_signals_at_any_time_and_the_run_is_the_same(data, whole, tmp_path):
    # W&B logs offline: it sees nothing of the network, and the run is compared all the same.
    wandb = ["logger=wandb", "logger.mode=offline"]
    moments = [
        (MODULE, "training_step", 2, signal_self, signal.SIGTERM, 2),
        (MODULE, "validation_step", 2, signal_all, signal.SIGUSR2, 3),
        # Validations of four batches: the three epochs', and the last checkpoint's.
        (MODULE, "validation_step", 14, signal_all, signal.SIGUSR1, 9),
    ]
    for number, (owner, name, call, action, signum, step) in enumerate(moments):
        hook = (at, owner, name, call, action, signum)
        if number == 0:
            run = start(tmp_path, data, *wandb, hook=hook)
        else:
            run = resume(tmp_path, hook=hook)
        assert run.end() == [75], run.output
        name = signal.Signals(signum).name
        hint = resume_hint(tmp_path)
        assert last_line(run) == f"stopped by {name}: step {step} is saved; {hint}"
    last = resume(tmp_path)
    assert last.end() == [0], last.output
    assert last_line(last) == f"run: {tmp_path / 'run'}"
    assert differences(whole(1), tmp_path / "run") == []
    # Each part has logged to W&B, under one id; and none has made another run folder.
    parts = [path.name for path in (tmp_path / "run" / "wandb").glob("*-run-*")]
    assert sorted(name.partition("-")[0] for name in parts) == ["earlier"] * 3 + ["offline"]
    assert len({name.rpartition("-")[2] for name in parts}) == 1
    assert list(tmp_path.rglob("config*.yaml")) == [tmp_path / "run" / "config.yaml"]


@pytest.mark.long
def test_an_end_at_the_start_and_ctrl_c_are_one_line(data, whole, tmp_path):
    early = (at, "irodori.training.launch:", "build_callbacks", 1, signal_all)
    run = start(tmp_path, data, hook=(*early, signal.SIGTERM))
    assert run.end() == [75], run.output
    assert beside_progress(run) == [
        f"stopped by SIGTERM: no checkpoint is saved yet; {resume_hint(tmp_path)}"
    ]
    run = resume(tmp_path, hook=(at, MODULE, "validation_step", 2, signal_all, signal.SIGINT))
    assert run.end() == [1], run.output
    line = f"error: interrupted; step 3 is saved; {resume_hint(tmp_path)}"
    assert last_line(run) == line
    run = resume(tmp_path, hook=(*early, signal.SIGINT))
    assert run.end() == [1], run.output
    assert beside_progress(run) == [line]
    run = resume(tmp_path)
    assert run.end() == [0], run.output
    assert differences(whole(1), tmp_path / "run") == []


def beside_progress(run):
    """The lines of a run's output but those such as `loading PyTorch … 5 s`."""
    return [line for line in run.output.splitlines() if " …" not in line]


def limit(size):
    """From now on no file of this process may become larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def limited(begin, size, end=None):
    """A hook: files are limited from one training step on, to before another one."""
    at(MODULE, "training_step", begin, limit, size)
    if end is not None:
        at(MODULE, "training_step", end, limit, resource.RLIM_INFINITY)


@pytest.mark.long
def test_a_full_disk_costs_nothing_but_what_it_keeps_from_being_written(data, whole, tmp_path):
    # Rows still fit; pictures and checkpoints don't. From step 6 on they do again.
    run = start(tmp_path / "for a while", data, hook=(limited, 4, 20_000, 6))
    assert run.end() == [0], run.output
    assert "last.ckpt can't be written: File too large; the previous one is kept" in run.output
    assert differences(whole(1), tmp_path / "for a while" / "run") == []
    # To the end: the last checkpoint that was written is kept, and the rest is made up for.
    place = tmp_path / "to-the-end"
    run = start(place, data, hook=(limited, 5, 20_000))
    assert run.end() == [1], run.output
    assert "epoch-0003.png can't be written: " in run.output
    last = place / "run" / "checkpoints" / "last.ckpt"
    assert last_line(run) == (
        f"error: the final checkpoint can't be written to {last}: free space, and"
        f" {resume_hint(place)}"
    )
    assert torch.load(last, weights_only=True)["global_step"] == 3
    # What is written at the end can't be written either.
    evaluation = (at, "irodori.training.launch:", "evaluate_checkpoints", 1, limit, 20_000)
    run = resume(place, hook=evaluation)
    assert run.end() == [1], run.output
    assert last_line(run) == (
        f"error: [Errno 27] File too large: '{place / 'run' / 'pictures' / 'best.png'}'; free"
        f" space; step 9 is saved; {resume_hint(place)}"
    )
    run = resume(place)
    assert run.end() == [0], run.output
    assert differences(whole(1), place / "run") == []


def diverging(call):
    """A hook: one pixel of one batch isn't a number."""
    from irodori.training.module import ColorizationModule

    step, calls = ColorizationModule.training_step, []

    def training_step(module, batch, number):
        calls.append(number)
        if len(calls) == call:
            batch["luminance"][0, 0, 0, 0] = float("nan")
        return step(module, batch, number)

    ColorizationModule.training_step = training_step


@pytest.mark.long
def test_two_ranks_stop_together_and_go_on_the_same(data, whole, tmp_path):
    stop = (at, MODULE, "training_step", 2, signal_self, signal.SIGTERM)
    run = start(tmp_path, data, "trainer.devices=2", ranks=2, hook=stop, hook_rank=1)
    assert run.end() == [75, 0], run.output
    assert last_line(run) == (
        f"stopped by a signal to another rank: step 2 is saved; {resume_hint(tmp_path)}"
    )
    # The loss of one rank diverges: both stop, and nothing of it is written.
    run = resume(tmp_path, ranks=2, hook=(diverging, 3), hook_rank=1)
    assert run.end() == [1, 1], run.output
    line = "the loss of step 5 is nan (samples photo"
    # The other rank leaves the word to the first; torchrun would have ended it by then.
    first, *others = [text for text in run.output.splitlines() if line in text]
    assert first.startswith(f"error: {line}")
    assert [text.partition(line)[0] for text in others] == ["error: rank 1: "]
    assert "Traceback" not in run.output
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 3
    run = resume(tmp_path, ranks=2)
    assert run.end() == [0, 0], run.output
    assert differences(whole(2), tmp_path / "run") == []


def record(file, *and_then):
    """A hook: note the keys of each training step; and another hook."""
    from irodori.training.module import ColorizationModule

    step = ColorizationModule.training_step

    def training_step(module, batch, number):
        line = json.dumps([module.trainer.current_epoch, module.trainer.global_step, batch["keys"]])
        with Path(file).open("a") as lines:
            lines.write(line + "\n")
        return step(module, batch, number)

    ColorizationModule.training_step = training_step
    if and_then:
        at(*and_then)


@pytest.mark.long
def test_each_sample_once_on_another_number_of_ranks(data, tmp_path):
    seen = tmp_path / "seen"
    # Stopped in the first epoch on two ranks, in the second on one, and ended on two.
    ends = [[75, 0], [75], [0, 0]]
    for number, (ranks, call) in enumerate([(2, 2), (1, 2), (2, 99)]):
        hook = (record, str(seen), MODULE, "training_step", call, signal_all, signal.SIGTERM)
        devices = f"trainer.devices={ranks}"
        if number == 0:
            run = start(tmp_path, data, devices, "trainer.max_epochs=2", ranks=ranks, hook=hook)
        else:
            run = resume(tmp_path, devices, "allow_changes=true", ranks=ranks, hook=hook)
        assert run.end() == ends[number], run.output
        assert ("changed: trainer.devices: " in run.output) == (number > 0)
    rows = [json.loads(line) for line in seen.read_text().splitlines()]
    for epoch in (0, 1):
        keys = [key for row in rows if row[0] == epoch for key in row[2]]
        assert sorted(keys) == sorted(f"photo{number}" for number in range(12))
    # Steps 1 and 2 on two ranks, 3 and 4 on one, 5 and 6 on two again.
    assert sorted((row[1], len(row[2])) for row in rows) == [
        *[(0, 2), (0, 2), (1, 2), (1, 2), (2, 4), (3, 4)],
        *[(4, 2), (4, 2), (5, 2), (5, 2)],
    ]


@pytest.mark.long
def test_an_epoch_that_only_lacks_its_validation_is_resumed_on_more_ranks(data, tmp_path):
    hook = (at, MODULE, "validation_step", 2, signal_self, signal.SIGTERM)
    run = start(tmp_path, data, "trainer.max_epochs=2", hook=hook)
    assert run.end() == [75], run.output
    run = resume(tmp_path, "trainer.devices=2", "allow_changes=true", ranks=2)
    assert run.end() == [0, 0], run.output
    rows = csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines())
    epochs = [row["epoch"] for row in rows if row["train/loss_epoch"]]
    assert epochs == ["0", "1"]


@pytest.mark.long
def test_ranks_that_lightning_starts_end_with_the_first_one(data, tmp_path):
    run = start(
        tmp_path,
        data,
        "trainer.devices=2",
        hook=(at, MODULE, "training_step", 2, signal_self, signal.SIGTERM),
    )
    assert run.end() == [75], run.output
    assert last_line(run) == f"stopped by SIGTERM: step 2 is saved; {resume_hint(tmp_path)}"
    # Before the other rank has come, there is nobody who would answer it.
    launcher = "lightning.pytorch.strategies.launchers.subprocess_script:"
    begun = (at, launcher, "_set_num_threads_if_needed", 1, signal_self, signal.SIGTERM)
    run = resume(tmp_path, hook=begun)
    assert run.end() == [75], run.output
    assert last_line(run) == f"stopped by SIGTERM: step 2 is saved; {resume_hint(tmp_path)}"
