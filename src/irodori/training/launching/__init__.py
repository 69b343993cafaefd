"""Sweeps: each job a process tree of its own, on this machine or through SLURM."""
