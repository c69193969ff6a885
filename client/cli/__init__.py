"""The command line: one module per service, and `commands` with shared code."""
