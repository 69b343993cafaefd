"""Train: `python train.py experiment=lab_alpha1 [key=value …]`, the same as `irodori train`."""

from irodori.programs.train import main
from irodori.runs.program import run_program

if __name__ == "__main__":
    run_program(main)
