"""The `irodori` command: a module for each subcommand."""
