"""The servicers, which convert request messages to calls of the domain, and results to response messages."""
