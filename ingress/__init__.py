"""The ingress, an Envoy in front of the server in the same instance."""
