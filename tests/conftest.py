"""What every test shares."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# The time of one example says little on a busy machine.
settings.register_profile("irodori", deadline=None)
settings.load_profile("irodori")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """These tensors are tiny: on a busy machine, threads waiting for each other take 5× longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
