"""Files behind http(s)://, s3:// and gs:// addresses: asked for, downloaded, cached."""
