"""Values as they are typed on Hydra's command line."""

import re

from hydra.core.override_parser.types import Quote, QuotedString


def quoted(text: str) -> str:
    """Return a value that Hydra's grammar reads as this text, whatever stands in it."""
    no_interpolations = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(no_interpolations, Quote.double).with_quotes()
