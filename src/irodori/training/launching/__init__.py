"""Sweeps, whose jobs run as separate processes on this machine or through SLURM."""
