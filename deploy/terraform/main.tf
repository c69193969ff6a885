# The service on Cloud Run, set as deploy/service.yaml sets it (a test compares them), and all that it needs.

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "apis" {
  for_each = toset(["artifactregistry.googleapis.com", "iam.googleapis.com", "run.googleapis.com"])

  service = each.key
  # Whatever else is in the project may use them too.
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "calculator" {
  repository_id = var.repository
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the calculator"

  # A bill of materials counts as a version: a push makes two.
  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-the-rest"
    action = "DELETE"

    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.apis]
}

# It has no roles: the service needs nothing of Google's.
resource "google_service_account" "calculator" {
  account_id   = var.service
  display_name = "The calculator on Cloud Run"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "calculator" {
  count = var.image == null ? 0 : 1

  name                = var.service
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = var.deletion_protection

  template {
    service_account = google_service_account.calculator.email
    # The server takes 100 calls at a time; what is more would be refused, not queued.
    max_instance_request_concurrency = 80
    # A stream counts as one request.
    timeout = "300s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    # Where requests come in: the page and gRPC-Web for browsers, JSON, and gRPC as it is. The server's own port is for this
    # instance alone.
    containers {
      name  = "ingress"
      image = var.ingress_image
      args  = ["--server-port=50051"]

      # HTTP/2 from end to end, without which only unary calls and server streams get through.
      ports {
        name           = "h2c"
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1"
          memory = "256Mi"
        }

        startup_cpu_boost = true
        # As it is by default, but for a service that sets its limits: paid for while a request is served.
        cpu_idle = true
      }

      # By way of the server: requests come in once both answer.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30

        grpc {
          port = 8080
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/"
          port = 8080
        }
      }
    }

    containers {
      name  = "server"
      image = var.image
      # Both are told to stop at the same time: the server takes calls until the ingress has sent its callers elsewhere.
      args = ["--port=50051", "--shutdown-delay=3", "--shutdown-grace=6"]

      resources {
        limits = {
          cpu    = "1"
          memory = "256Mi"
        }

        startup_cpu_boost = true
        # As it is by default, but for a service that sets its limits: paid for while a request is served.
        cpu_idle = true
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30

        grpc {
          port = 50051
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        grpc {
          port = 50051
        }
      }
    }
  }

  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  lifecycle {
    precondition {
      condition     = var.ingress_image != null
      error_message = "ingress_image is missing: accepted is what //ingress:push prints."
    }

    precondition {
      condition     = var.min_instances <= var.max_instances
      error_message = "max_instances is ${var.max_instances}: accepted is min_instances, ${var.min_instances}, or more."
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.image == null ? toset([]) : setunion(var.invokers, var.public ? ["allUsers"] : [])

  name     = google_cloud_run_v2_service.calculator[0].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.key
}
