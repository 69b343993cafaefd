"""The README's picture of the web page: `python experiments/starter/show_demo.py`.

The page of `irodori demo` with its historical example, as the bundled model colorizes it with a few
hints, and the palette of one of them. Writes docs/demo.png. Needs the system's Chromium.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from irodori.config import PROJECT

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1240, 1000
HINTS = {(0.2, 0.52): "#5d7038", (0.86, 0.93): "#41607c", (0.62, 0.43): "#9a5f45"}
"""Trees, water and the fort of sandstone; places are shares of width and height."""
WORK = 120_000
"""Milliseconds that anything may take."""


def main() -> None:
    """Serve the page, use it, and take its picture."""
    irodori = str(Path(sys.executable).with_name("irodori"))
    command = [irodori, "demo", "--port", "0", *sys.argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.findall(r"http://\S+", server.stdout.readline())[0]
            with sync_playwright() as playwright:
                found = next(filter(None, map(shutil.which, CHROMIUM)), None)
                browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                page.set_default_timeout(WORK)
                page.goto(address)
                use(page)
                page.screenshot(path=PROJECT / "docs" / "demo.png", full_page=True)
                browser.close()
        finally:
            server.terminate()


def use(page: Page) -> None:
    """Colorize the historical example, and give hints."""
    page.locator("#examples button img").first.click()
    page.locator("#photos").get_by_text("castle").first.wait_for()
    page.get_by_role("button", name="Colorize", exact=True).click()
    page.locator("#status").get_by_text("Done.").wait_for()
    photo = page.locator(".compare")
    palette = page.get_by_role("dialog")
    for (x, y), color in HINTS.items():
        page.keyboard.press("Escape")
        palette.wait_for(state="hidden")
        box = photo.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        palette.get_by_role("button", name="Likely color").first.wait_for()
        page.get_by_label("Any color").fill(color)
    page.wait_for_function("() => !document.querySelector('hint-editor').busy")


if __name__ == "__main__":
    main()
