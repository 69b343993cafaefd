"""Small models that every test of inference colors with."""

import pytest

from networks import varied_model


@pytest.fixture(scope="session")
def make_model():
    """Makes a model of a class of color spaces, with a network's arguments."""
    return varied_model


@pytest.fixture(scope="session")
def model():
    return varied_model()
