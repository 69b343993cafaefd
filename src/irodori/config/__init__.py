"""Composition of configurations: resolvers, checks against signatures, instantiation."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parents[1]
"""The checkout, for tests and experiments; an installed package has none."""
CONF = (PACKAGE / "conf").resolve()
"""What can be composed: in a checkout its folder conf/, by a link."""
SAMPLE = (PACKAGE / "sample").resolve()
"""The embedded sample: in a checkout its folder data/sample/, by a link."""
