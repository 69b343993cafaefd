"""Comparing runs photograph by photograph: statistics, plots, pictures and a report."""
