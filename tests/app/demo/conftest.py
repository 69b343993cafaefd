"""Checkpoints of small models, for tests of the demo."""

import pytest
from small_checkpoints import write_checkpoint


@pytest.fixture(scope="session")
def demo_checkpoint(tmp_path_factory):
    """A file."""
    return write_checkpoint(tmp_path_factory.mktemp("model") / "small.ckpt", seed=0)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """A run folder, of another model."""
    run = tmp_path_factory.mktemp("runs") / "lab_alpha1" / "2026-11-23"
    write_checkpoint(run / "checkpoints" / "last.ckpt", seed=1)
    write_checkpoint(run / "checkpoints" / "best.ckpt", seed=2)
    return run
