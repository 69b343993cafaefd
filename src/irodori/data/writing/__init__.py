"""Writing folders and published data sets as shards with an index, and verifying shards."""
