"""The server: configuration, serving, a module for each service, arithmetic."""
