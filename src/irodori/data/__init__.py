"""Shards: writing, index, reading plans, streaming, and the LightningDataModule."""
