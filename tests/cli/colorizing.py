"""`irodori colorize` within the test's process."""

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from irodori.cli.app import app

RUNNER = CliRunner()


def colorize(*words, checkpoint=None, **given):
    """Run the command; the result has exit code and outputs."""
    more = [] if checkpoint is None else ["--checkpoint", checkpoint]
    return RUNNER.invoke(app, ["colorize", *map(str, [*words, *more])], **given)


def refused(done, *parts):
    """Nothing was done, and one line says why."""
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(str(part) in line for part in parts)


def pixels(path):
    """H×W×3."""
    return np.asarray(Image.open(path).convert("RGB"))
