"""The fast network: what a trained network says, in less time."""

from irodori.inference.fast.fast_network import faster

__all__ = ["faster"]
