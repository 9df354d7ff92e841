"""The `geochg` command line."""
