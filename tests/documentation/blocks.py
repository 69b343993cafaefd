"""The pages of the documentation, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "experiments").glob("*/README.md")),
]
STUDY = ("README.md", "")
FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of code: of which page, in what language, and if it is a file, its path."""

    page: Path
    language: str
    title: str
    text: str


def name_of(page: Path) -> str:
    """The path of a page in the project."""
    return page.relative_to(PROJECT).as_posix()


BLOCKS = [Block(page, *match) for page in PAGES for match in FENCE.findall(page.read_text())]
FILES = {block.title: block for block in BLOCKS if block.title}
"""What pages show as files of a user's own, by path."""
COMMANDS = [
    (name_of(block.page), line)
    for block in BLOCKS
    # Blocks of studies name no language.
    if block.language in ("bash", "sh") or (block.page.name, block.language) == STUDY
    for line in block.text.splitlines()
    if line.strip() and not line.startswith("#")
]
"""Commands with their pages. Those of `bash` blocks are run as they stand, in their order."""


def write_files(folder: Path) -> None:
    """Write the files that pages show into a folder."""
    for title, block in FILES.items():
        path = folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
