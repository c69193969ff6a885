"""The Terraform configuration of the Cloud Run service and of the resources that it needs."""
