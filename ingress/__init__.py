"""What stands in front of the server, in the same instance."""
