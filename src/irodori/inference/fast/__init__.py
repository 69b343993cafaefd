"""The fast network: what a trained network says, in less time."""
