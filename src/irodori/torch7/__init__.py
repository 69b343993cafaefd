"""The weights that the paper's authors published, in Torch7's format."""
