"""Comparing runs: which variant is better, and is the difference real?"""
