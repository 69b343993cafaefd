"""The reference of the `irodori` command, from its options and their help."""

import re

import typer
import typer.main
from typer.cli import get_docs_for_click

from irodori.cli.app import app

LISTING = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")
"""The list of subcommands in a help text, which is redundant to the headings."""


def reference() -> str:
    """Return a section for each command, with the text of `--help`."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="irodori")
    text = get_docs_for_click(obj=command, ctx=context, name="irodori")
    # The page already has a title.
    return "#" + LISTING.sub("", text).replace("```console", "```text")
