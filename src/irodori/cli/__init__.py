"""The `irodori` command, one module per subcommand."""
