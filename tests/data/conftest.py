"""The shards that most tests of the pipeline read."""

import pytest
from plain_shards import write


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    return write(tmp_path_factory.mktemp("shards"), [5, 1, 7, 10])
