"""The model that the commands use."""

import pytest

from networks import colorful_model, save_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """best.ckpt in a run folder."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return save_checkpoint(colorful_model(), folder / "checkpoints" / "best.ckpt")
