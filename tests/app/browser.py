"""A real browser: the system's Chromium, driven by Playwright."""

import shutil
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
WORK = 60_000
"""Milliseconds that coloring may take."""


def executable():
    """Where the system's Chromium is; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


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


CONTRASTS = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const over = (top, below) => {
    const a = top[3] ?? 1;
    return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a));
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || /^(SCRIPT|STYLE|NOSCRIPT)$/.test(element.tagName)) continue;
    const box = element.getBoundingClientRect();
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (box.width < 2 || box.height < 2) continue;
    const layers = [];
    let picture = false;
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage !== 'none') picture = true;
      layers.push(channels(style.backgroundColor));
    }
    if (picture) continue;
    const below = layers.reverse().reduce((c, layer) => over(layer, c), [255, 255, 255]);
    const color = over(channels(getComputedStyle(element).color), below);
    const [low, high] = [luminance(below), luminance(color)].sort((a, b) => a - b);
    found.push([text.slice(0, 60), (high + 0.05) / (low + 0.05)]);
  }
  return found;
}"""
NAMELESS = """() => [...document.querySelectorAll('input, select, textarea, button, a[href]')]
  .filter(e => e.checkVisibility() && e.type !== 'hidden')
  .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.title
      || e.getAttribute('aria-labelledby') || e.labels?.[0]?.textContent.trim()))
  .map(e => e.outerHTML.slice(0, 200))"""


def check_readable(page):
    """Text stands out from its ground (WCAG AA), nothing is cut off, and controls have names."""
    contrasts = page.evaluate(CONTRASTS)
    assert contrasts
    assert [found for found in contrasts if found[1] < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.lang") == "en"
