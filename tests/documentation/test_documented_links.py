"""Links lead to files, pages are in the site, and the README has the figures of the studies."""

import re

import yaml
from blocks import PAGES, PROJECT, name_of

LINK = re.compile(r"\]\(((?!http|#)[^)\s]+)\)")
NAV = re.compile(r"[\w/]+\.md$", re.M)


def test_links_lead_to_files() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text())]
    assert links
    missing = [
        f"{name_of(page)}: {link}"
        for page, link in links
        if not (page.parent / link.partition("#")[0]).exists()
    ]
    assert missing == []


def test_every_page_and_study_is_in_the_navigation() -> None:
    nav = set(NAV.findall((PROJECT / "mkdocs.yml").read_text()))
    docs = PROJECT / "docs"
    pages = {page.relative_to(docs).as_posix() for page in PAGES if page.is_relative_to(docs)}
    studies = {page.parent.name for page in PAGES if page.match("experiments/*/README.md")}
    assert pages
    assert studies
    assert (pages | {f"studies/{name}/index.md" for name in studies}) - nav == set()


def test_the_results_of_the_readme_stand_in_the_studies() -> None:
    text = PAGES[0].read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "](experiments/" in line]
    assert len(rows) >= 5
    for row in rows:
        (link,) = LINK.findall(row)
        study = (PROJECT / link).read_text()
        figures = re.findall(r"\d+\.\d+", row)
        assert figures
        assert [figure for figure in figures if figure not in study] == [], row


def test_nothing_of_the_site_is_loaded_from_elsewhere() -> None:
    class Loader(yaml.SafeLoader):
        """Takes tags of Python's as plain values."""

    config = yaml.load((PROJECT / "mkdocs.yml").read_text(), Loader)
    assert config["theme"]["font"] is False
    assert [path for path in config["extra_css"] if path.startswith("http")] == []
    assert "extra_javascript" not in config
