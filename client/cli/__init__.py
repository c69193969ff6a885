"""The command line: a module for the commands of each service, and what they share."""
