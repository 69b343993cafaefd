"""Evaluate: `python evaluate.py checkpoint=<file>`, the same as `irodori evaluate`."""

from irodori.programs.evaluate import main
from irodori.runs.program import run_program

if __name__ == "__main__":
    run_program(main)
