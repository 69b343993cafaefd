"""A browser for all tests of web pages, and visitors for each."""

from importlib.util import find_spec

import pytest
from browser import FLAGS, Visits, executable


def pytest_runtest_setup(item):
    """Skip tests of what isn't there; at this one place, so that it is one line.

    gradio isn't imported for it: that takes seconds, in each worker.
    """
    if "demo" in item.fixturenames and find_spec("gradio") is None:
        pytest.skip("no gradio here: tests of the demo's page are left out (irodori[demo])")
    if "browser" in item.fixturenames and executable() is None:
        pytest.skip("no Chromium here: tests in a browser are left out (apt-get install chromium)")


@pytest.fixture(scope="session")
def browser():
    """Chromium with a new, empty profile; without it the tests that want it are skipped."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visits(browser):
    """`visits.page()` opens a page; no page may call another host or raise an error."""
    opened = Visits(browser)
    yield opened
    opened.close()
