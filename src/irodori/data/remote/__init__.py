"""Files behind URLs of any scheme that fsspec knows: asked for, downloaded, cached."""
