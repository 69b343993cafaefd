"""A real browser: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OWN = ("127.0.0.1", "localhost")
TIMEOUT = 20_000
"""Milliseconds that a page may take for anything; the machine may be busy."""


def executable():
    """Where the system's Chromium is; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator:
    """A browser with a new, empty profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visits:
    """Pages of visitors that know nothing of each other, and what these pages did wrong."""

    def __init__(self, browser):
        self.browser = browser
        self.contexts = []
        self.elsewhere = []
        self.errors = []

    def page(self, **options):
        """A page of a new visitor; options are those of Playwright's `new_context`."""
        context = self.browser.new_context(**options)
        context.set_default_timeout(TIMEOUT)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.contexts.append(context)
        return context.new_page()

    def _request(self, request):
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "file") and address.hostname not in OWN:
            self.elsewhere.append(request.url)

    def close(self):
        """End all visits; a call to another host or an uncaught error fails the test."""
        for context in self.contexts:
            context.close()
        assert not self.elsewhere, f"calls to other hosts: {self.elsewhere}"
        assert not self.errors, f"errors on the page: {self.errors}"
