# What the next command needs.

output "repository" {
  description = "Where //deploy:push pushes the server's image; //ingress:push pushes beside it, with -ingress behind the name."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.calculator.repository_id}/${var.service}"
}

output "service_account" {
  description = "Whom the service runs as."
  value       = google_service_account.calculator.email
}

output "uri" {
  description = "Where the service is, which //client takes as --target; null without an image."
  value       = one(google_cloud_run_v2_service.calculator[*].uri)
}
