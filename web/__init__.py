"""The calculator in a browser."""
