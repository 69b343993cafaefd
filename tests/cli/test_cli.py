"""The `irodori` command."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

import irodori
from irodori.cli.app import app

RUNNER = CliRunner()


def test_the_command_is_there_and_tells_its_version_and_help():
    command = Path(sys.executable).with_name("irodori")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"irodori {irodori.__version__}\n")
    shown = RUNNER.invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "colorize" in shown.stdout
    assert RUNNER.invoke(app, ["colourize"]).exit_code != 0
