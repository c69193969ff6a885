"""The service and what it needs, for Terraform."""
