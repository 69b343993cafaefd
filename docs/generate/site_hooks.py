"""MkDocs hooks: pages from outside of docs/, and pages generated from the code."""

import re
from pathlib import Path

import command_line
import configuration
import metrics_catalog
import notebook
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pages import DOCS, pages, place, targets, with_site_links

GENERATED = re.compile(r"^<!-- generated: (.+) -->$", re.M)
"""Pattern of the line in a page that is replaced by generated content."""
GENERATORS = {
    "configuration of training": configuration.training,
    "configuration of evaluation": configuration.evaluation,
    "command line": command_line.reference,
    "metrics": metrics_catalog.catalog,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/, linked files, and executed notebooks."""
    outside = set(pages())
    for page in [*pages(), *DOCS.rglob("*.md")]:
        outside.update(targets(page))
    for path in sorted(outside):
        if "#" not in place(path) and files.get_file_from_path(place(path)) is None:
            files.append(File.generated(config, place(path), abs_src_path=str(path)))
    for path in sorted(DOCS.rglob("*.ipynb")):
        made = notebook.executed(path)
        for name, content in made.files.items():
            uri = (Path(place(path)).parent / name).as_posix()
            files.append(File.generated(config, uri, content=content))
        uri = Path(place(path)).with_suffix(".md").as_posix()
        files.append(File.generated(config, uri, content=made.markdown))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is generated, and turn links into those of the site."""
    if page.file.abs_src_path is not None:
        markdown = with_site_links(markdown, Path(page.file.abs_src_path))
    return GENERATED.sub(lambda match: GENERATORS[match[1]](), markdown)
