"""The Hydra programs behind `irodori train` and `irodori evaluate`.

Jobs of sweeps and further ranks run these files as scripts.
"""
