"""The calculator server."""
