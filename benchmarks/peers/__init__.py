"""The servers of others, with our handlers."""
