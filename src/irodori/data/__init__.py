"""Shards: writing, index, who reads what, streaming, and the LightningDataModule."""
