"""Composition of configurations: resolvers, checks against signatures, instantiation."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
"""The checkout, which holds conf/ and data/."""
