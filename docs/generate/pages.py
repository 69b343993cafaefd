"""Locations in the site of files outside of docs/."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCS, CONF = PROJECT / "docs", PROJECT / "conf"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "data/sample/README.md": "reference/sample.md",
    "src/irodori/inference/starter/MODEL_CARD.md": "model_card.md",
}
"""Pages outside of docs/, and their paths in the site."""
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
"""Pattern of Markdown links (except to headings of the same page): text, target, anchor."""


def place(path: Path) -> str:
    """Return the path of a file of the project in the site.

    A member of a configuration group becomes a heading of the reference.
    """
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix().replace(".ipynb", ".md")
    if path.is_relative_to(CONF) and path.parent != CONF:
        return f"reference/configuration.md#{path.parent.name}-{path.stem}"
    name = path.relative_to(PROJECT).as_posix()
    if name in PAGES:
        return PAGES[name]
    folder, _, rest = name.partition("/")
    if folder == "experiments":
        return f"studies/{rest.removesuffix('README.md')}{'index.md' * rest.endswith('README.md')}"
    return f"files/{name}"


def linked(page: Path, target: str) -> Path | None:
    """Return the file of the project that a link refers to; None for a URL."""
    if ":" in target:
        return None
    path = (page.parent / target).resolve()
    return path / "README.md" if path.is_dir() else path


def pages() -> Iterator[Path]:
    """Yield the pages outside of docs/: the named ones, and those of experiments."""
    yield from (PROJECT / name for name in PAGES)
    for readme in sorted((PROJECT / "experiments").glob("*/README.md")):
        yield readme
        yield from sorted(path for path in readme.parent.glob("*.md") if path != readme)


def targets(page: Path) -> Iterator[Path]:
    """Yield the files outside of docs/ that a page links to."""
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        path = linked(page, match[2])
        if path is not None and path.is_file() and not path.is_relative_to(DOCS):
            yield path


def with_site_links(markdown: str, page: Path) -> str:
    """Return a page's text with links for the checkout converted to links in the site."""
    here = posixpath.dirname(place(page))

    def relinked(match: re.Match[str]) -> str:
        path = linked(page, match[2])
        if path is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(place(path), here or '.')}{match[3] or ''}"

    return LINK.sub(relinked, markdown)
