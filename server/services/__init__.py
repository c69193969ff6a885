"""The servicers: request messages in, results of the domain, response messages out."""
