"""The client: a library for channels and failures, a command line over it."""
