"""Reading, downloading and caching files behind URLs of any scheme that fsspec supports."""
