"""`irodori study` as it is typed."""

import importlib.util
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest
from made_study import Client, folders, study
from processes import process
from typer.testing import CliRunner

from irodori.cli.app import app


def irodori(*arguments):
    return CliRunner().invoke(app, ["study", *map(str, arguments)])


@pytest.mark.slow
def test_a_study_is_served_stopped_gone_on_with_and_evaluated(tmp_path):
    truth, plain, warm = folders(tmp_path)
    database = tmp_path / "study.db"
    words = (plain, warm, "--truth", truth, "--checks", 0.2)
    with process("study", "serve", database, *words) as first:
        assert any(line.startswith("each person judges 5 of 5") for line in first.lines)
        client = Client(first.address)
        code = client.post("api/begin").json()["code"]
        given = {"code": code, "choice": 1, "viewed": 900, "latency": 900}
        for place in range(2):
            client.post("api/answer", **given, place=place).raise_for_status()
        # Results can be seen meanwhile.
        assert "People: 1 began, 1 gave answers" in irodori("results", database).stdout
        # Answers are on the disk: a crash at this moment loses none.
        first.kill()
    # Ctrl-C is sent in the browser's test.
    with process("study", "serve", database) as again:
        assert "people who have begun: 1; answers: 2" in again.lines
        assert Client(again.address).post("api/step", code=code).json()["place"] == 2
        status, (line,) = again.stop(signal.SIGTERM)
        assert status == 143
        assert f"`irodori study serve {database}`" in line
    done = irodori("results", database, "--output", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "People: 1 began" in done.stdout
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert (tmp_path / "out" / "naturalness.png").stat().st_size > 5000


def test_mistakes_are_one_line(tmp_path, monkeypatch):
    # Within this process, whose own handlers stay.
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    path = study(tmp_path)
    truth = tmp_path / "truth"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, said in (
            (("serve", tmp_path / "new.db"), "--truth"),
            (("serve", tmp_path / "new.db", "--truth", tmp_path / "none"), "not a folder"),
            (("serve", path, "--truth", truth), "already holds a study"),
            (("serve", path, "--seconds", 3), "already holds a study"),
            (("serve", path, "--port", port), f"127.0.0.1, port {port}: "),
            (("serve", path, "--port", 99999), "99999"),
            (("serve", path, "--host", "no.such.host.invalid"), "no.such.host.invalid"),
            (("serve", path, "--host", "a..b"), "a..b"),
            (("results", tmp_path / "none.db"), "no such file"),
            (("results", path, "--passed", 3), "--passed is 3"),
            (("results", path, "--minimum", -1), "--minimum is -1"),
        ):
            done = irodori(*arguments)
            assert done.exit_code == 1, arguments
            (line,) = done.stderr.splitlines()
            assert line.startswith("error: ")
            assert said in line
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("table", ["people", "answers"])
def test_results_of_a_damaged_file_are_one_line(tmp_path, table):
    path = study(tmp_path)
    connection = sqlite3.connect(path)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    pages = connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", [table])
    places = [size * (page - 1) for (page,) in pages]
    connection.close()
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(b"\xff" * size)
    done = irodori("results", path)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {path}: can't be read as a study (")


@pytest.mark.parametrize("blocked", ["starlette", "uvicorn"])
def test_without_a_server_it_is_said_what_to_install(tmp_path, monkeypatch, blocked):
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == blocked else find(name)
    )
    done = irodori("serve", tmp_path / "s.db")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'irodori[demo]'" in line


def test_a_study_from_folders_needs_no_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from irodori.app.naturalness.building import build\n"
        "from irodori.app.naturalness.study import Settings\n"
        f"root = Path({str(tmp_path)!r})\n"
        "build(root / 's.db', root / 'truth', [str(root / 'warm')], Settings(), print, seed=1)\n"
        "print('torch' in sys.modules)"
    )
    folders(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
