"""The server of the calculator."""
