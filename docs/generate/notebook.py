"""Notebooks: executed, and turned into pages."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from pages import PROJECT
from traitlets.config import Config

LIMIT = 300
"""Seconds that a cell may take."""


class Executed(NamedTuple):
    """A notebook's page, and the pictures in it by their names."""

    markdown: str
    files: dict[str, bytes]


def executed(path: Path) -> Executed:
    """Execute a notebook in the project's folder, and return it as a page with its outputs.

    Where EXECUTE_NOTEBOOKS is 0, which saves time while pages are written, it is shown as it is.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if os.environ.get("EXECUTE_NOTEBOOKS") != "0":
        resources = {"metadata": {"path": str(PROJECT)}}
        # Not over TCP, which others on the machine could read.
        config = Config(KernelManager={"transport": "ipc"})
        NotebookClient(notebook, timeout=LIMIT, resources=resources, config=config).execute()
    exporter: Any = MarkdownExporter()  # type: ignore[no-untyped-call]
    markdown, resources = exporter.from_notebook_node(
        notebook, resources={"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    return Executed(markdown, dict(resources["outputs"]))
