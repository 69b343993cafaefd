from concurrent.futures import ThreadPoolExecutor

import pytest
from omegaconf import OmegaConf

from irodori.training.launching.job import Job, note, read_record
from irodori.training.launching.sweep import begin, prepare
from irodori.utils.errors import IrodoriError


def config(folder, *overrides):
    sweep = {"sweep": {"dir": str(folder)}, "overrides": {"hydra": list(overrides)}}
    return OmegaConf.create({"hydra": sweep})


def test_sweeps_that_want_the_same_folder_get_one_each(tmp_path):
    wanted = tmp_path / "runs" / "same second"
    configs = [config(wanted) for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(begin, configs))
    names = {str(wanted), *(f"{wanted}-{number}" for number in range(2, 101))}
    assert {each.hydra.sweep.dir for each in configs} == names
    assert len(held) == 100


def test_a_named_folder_is_this_one_while_no_other_sweep_runs_there(tmp_path):
    named = config(tmp_path / "named", f"hydra.sweep.dir={tmp_path}/named")
    with (
        begin(named),
        pytest.raises(IrodoriError, match=r"another sweep is running in .*named: give another"),
    ):
        begin(named)
    with begin(named):
        assert named.hydra.sweep.dir == str(tmp_path / "named")


def test_a_sweep_under_torchrun_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(IrodoriError, match=r"^start a sweep without torchrun"):
        begin(config(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def jobs(tmp_path, *seeds):
    return [
        Job(number, (f"seed={seed}",), (f"seed={seed}",), tmp_path / str(number), 1, 1, "cpu")
        for number, seed in enumerate(seeds)
    ]


def test_jobs_that_are_done_are_left_out_and_folders_of_others_refused(tmp_path, capsys):
    mine = jobs(tmp_path, 0, 1)
    assert prepare(mine) == mine
    assert [read_record(job.folder).status for job in mine] == ["waiting"] * 2
    note(mine[0], "done", 0)
    note(mine[1], "stopped", 75)
    assert prepare(mine) == mine[1:]
    assert capsys.readouterr().out == "1 of 2 jobs are already done\n"
    with pytest.raises(IrodoriError, match=f"^{tmp_path}/1 contains a job of another sweep"):
        prepare(jobs(tmp_path, 0, 3))
    with pytest.raises(IrodoriError, match=r"hydra\.sweep\.subdir gives two jobs the same folder"):
        prepare([mine[0], mine[0]])
