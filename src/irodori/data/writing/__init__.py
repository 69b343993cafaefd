"""Folders and published data sets → shards with an index; checking such shards."""
