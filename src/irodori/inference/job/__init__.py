"""The job of `irodori colorize`: find photos, name results, and colorize in threads."""
