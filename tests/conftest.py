"""What every test shares."""

import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings

import tiny
from irodori.utils import progress

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

# The time of one example says little on a busy machine.
settings.register_profile("irodori", deadline=None, max_examples=60)
settings.load_profile("irodori")


@pytest.hookimpl(trylast=True)  # after others are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with files of slow tests, a folder's on one, so that it sets up once.

    pytest-xdist gives the first worker the first share of the items, and so on; a worker that is
    done then takes over what another one would have come to last, which is quick.
    """
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    folders: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if item.path in slow_files:
            folders.setdefault(item.path.parent, []).append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(WORKERS)]
    for tests in sorted(folders.values(), key=len, reverse=True):
        min(shares, key=len).extend(tests)
    quick = iter([item for item in items if item.path not in slow_files])
    for share in shares:
        share.extend(islice(quick, max(0, len(items) // WORKERS - len(share))))
    items[:] = [*chain.from_iterable(shares), *quick]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """These tensors are tiny: on a busy machine, threads waiting for each other take 5× longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _no_lines_about_waiting() -> Iterator[None]:
    """On a busy machine anything may take as long as a line of progress needs to be due."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "EVERY", 3600.0)
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """12 training and 7 validation photographs, and the overrides for a short run on them."""
    folder = tmp_path_factory.mktemp("data")
    train = tiny.shards(folder / "train", 12)
    val = tiny.shards(folder / "val", 7, first=100)
    return SimpleNamespace(train=train, val=val, on=tiny.on(train, val))
