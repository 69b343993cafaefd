"""The Hydra programs behind `irodori train` and `irodori evaluate`.

The processes of sweeps and ranks run their files as scripts.
"""
