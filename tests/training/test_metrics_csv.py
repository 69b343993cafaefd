"""metrics.csv: whole at any time, and continued where a checkpoint was written."""

import csv
from contextlib import contextmanager

import pytest

from irodori.training.loggers import MetricsCSV
from irodori.utils import files
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing
from irodori.utils.run_files import METRICS_CSV


def written(folder):
    with (folder / METRICS_CSV).open(newline="") as file:
        return list(csv.DictReader(file))


def logged(folder, rows, **options):
    logger = MetricsCSV(folder, **options)
    for step, row in rows:
        logger.log_metrics(row, step)
        logger.save()  # as Lightning does
    return logger


def test_a_long_file_is_not_written_with_every_row(tmp_path, monkeypatch):
    sizes = []

    @contextmanager
    def noted(path):
        with replacing(path) as file:
            yield file
            sizes.append(file.tell())

    monkeypatch.setattr(files, "replacing", noted)
    lengths = []
    logger = MetricsCSV(tmp_path)
    for step in range(3000):
        logger.log_metrics({"loss": 0.5}, step)
        logger.save()  # as Lightning does
        if step < 100:
            lengths.append(len(written(tmp_path)))
    # A short one is always complete.
    assert lengths == list(range(1, 101))
    # All that was ever written is some hundred times the last file, and not 1,500 times.
    assert sum(sizes) < 250 * sizes[-1]
    assert 0.99 <= len(written(tmp_path)) / 3000 < 1
    logger.finalize("success")
    assert [row["step"] for row in written(tmp_path)] == [str(step) for step in range(3000)]


def test_a_column_that_comes_later_is_empty_before(tmp_path):
    logged(tmp_path, [(0, {"b": 1.0}), (1, {"a": 0.5})])
    assert (tmp_path / METRICS_CSV).read_text().splitlines() == ["a,b,step", ",1.0,0", "0.5,,1"]


def test_rows_after_the_checkpoint_are_replaced_and_none_is_doubled(tmp_path):
    rows = [(step, {"loss": 0.1 + step / 3, "epoch": step // 2}) for step in range(6)]
    whole = tmp_path / "whole"
    logged(whole, rows)
    killed = tmp_path / "killed"
    # Two rows were logged after the checkpoint, one of them with a column of its own.
    logged(killed, [*rows[:4], (4, {"loss": -1.0}), (5, {"other": -1.0})])
    logged(killed, rows[4:], keep=4)
    assert (killed / METRICS_CSV).read_bytes() == (whole / METRICS_CSV).read_bytes()


def test_rows_that_are_missing_are_told_of(tmp_path, capsys):
    logged(tmp_path, [(0, {"loss": 1.0})])
    logged(tmp_path, [(3, {"loss": 2.0})], keep=3)
    assert "lacks 2 rows" in capsys.readouterr().out
    assert [row["step"] for row in written(tmp_path)] == ["0", "3"]
    (tmp_path / METRICS_CSV).unlink()
    logged(tmp_path, [(3, {"loss": 2.0})], keep=3)
    assert "lacks 3 rows" in capsys.readouterr().out


def test_a_file_of_another_kind_is_one_line(tmp_path):
    (tmp_path / METRICS_CSV).write_bytes(b"\xff\x00\xfe")
    with pytest.raises(IrodoriError, match=r"can't be read: .*; restore it, or remove it"):
        MetricsCSV(tmp_path, keep=2)


def test_rows_that_cannot_be_written_are_told_of_once_and_written_later(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.write_text("a file, where no folder can be made")
    logger = logged(folder, [(step, {"loss": 1.0}) for step in range(3)])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{folder / METRICS_CSV} can't be written for now: ")
    folder.unlink()
    logger.log_metrics({"loss": 1.0}, 3)
    logger.save()
    assert len(written(folder)) == 4
    folder.rename(tmp_path / "moved")
    folder.write_text("again")
    logger.write()
    assert len(capsys.readouterr().out.splitlines()) == 1
