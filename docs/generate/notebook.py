"""Executing notebooks and converting them to pages."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from pages import PROJECT
from traitlets.config import Config

LIMIT = 300
"""Time limit of a cell in seconds."""


class Executed(NamedTuple):
    """A notebook as a page, with its pictures by name."""

    markdown: str
    files: dict[str, bytes]


def executed(path: Path) -> Executed:
    """Execute a notebook in the project's folder, and return it as a page with outputs.

    If EXECUTE_NOTEBOOKS is 0, the notebook isn't executed, which saves time.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if os.environ.get("EXECUTE_NOTEBOOKS") != "0":
        resources = {"metadata": {"path": str(PROJECT)}}
        # Not over TCP, which other users of the machine could read.
        config = Config(KernelManager={"transport": "ipc"})
        NotebookClient(notebook, timeout=LIMIT, resources=resources, config=config).execute()
    exporter: Any = MarkdownExporter()  # type: ignore[no-untyped-call]
    markdown, resources = exporter.from_notebook_node(
        notebook, resources={"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    return Executed(markdown, dict(resources["outputs"]))
