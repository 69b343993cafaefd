from types import SimpleNamespace

import pytest

import tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """12 training and 7 validation photographs, and the overrides for a short run on them."""
    folder = tmp_path_factory.mktemp("data")
    train = tiny.shards(folder / "train", 12)
    val = tiny.shards(folder / "val", 7, first=100)
    return SimpleNamespace(train=train, val=val, on=tiny.on(train, val))
