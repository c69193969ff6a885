# Values that the next commands need.

output "repository" {
  description = "The repository that //deploy:push pushes the server's image to. //ingress:push takes the same name with the suffix -ingress."
  value       = "${var.region}-docker.pkg.dev/${replace(var.project, ":", "/")}/${google_artifact_registry_repository.calculator.repository_id}/${var.service}"
}

output "service_account" {
  description = "The email address of the service account that the service runs as."
  value       = google_service_account.calculator.email
}

output "uri" {
  description = "The URL of the service, which is the --target of //client. Null if image is not set."
  value       = one(google_cloud_run_v2_service.calculator[*].uri)
}
