"""What every test shares."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings

import tiny

# The time of one example says little on a busy machine.
settings.register_profile("irodori", deadline=None)
settings.load_profile("irodori")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first, so that no worker is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """These tensors are tiny: on a busy machine, threads waiting for each other take 5× longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """12 training and 7 validation photographs, and the overrides for a short run on them."""
    folder = tmp_path_factory.mktemp("data")
    train = tiny.shards(folder / "train", 12)
    val = tiny.shards(folder / "val", 7, first=100)
    return SimpleNamespace(train=train, val=val, on=tiny.on(train, val))
