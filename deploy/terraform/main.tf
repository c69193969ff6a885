# The Cloud Run service, with the settings of deploy/service.yaml (a test compares them), and the resources it needs.

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "apis" {
  for_each = setunion(
    ["artifactregistry.googleapis.com", "iam.googleapis.com", "run.googleapis.com"],
    var.binary_authorization_key == null ? [] : ["binaryauthorization.googleapis.com", "containeranalysis.googleapis.com"],
    var.monitoring ? ["logging.googleapis.com", "monitoring.googleapis.com"] : [],
  )

  service = each.key
  # Other resources in the project may use these APIs too.
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "calculator" {
  repository_id = var.repository
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the calculator"

  # A push creates 2 versions (image and bill of materials), or 5 if it is signed (signature and 2 attestations).
  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 50
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

# This account has no roles, because the service does not use any Google API.
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

  dynamic "binary_authorization" {
    for_each = google_binary_authorization_policy.attested

    content {
      use_default = true # the project's policy
    }
  }

  template {
    service_account = google_service_account.calculator.email
    # Stays below the 100 concurrent calls that the server accepts: it rejects further calls and does not queue them.
    max_instance_request_concurrency = 80
    # The timeout applies to streams too: a stream counts as one request.
    timeout = "300s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    # The ingress receives all requests: it serves the page, translates gRPC-Web and JSON to gRPC, and forwards gRPC
    # unchanged. The server's own port is not reachable from outside the instance.
    containers {
      name  = "ingress"
      image = var.ingress_image
      args  = ["--server-port=50051"]

      # HTTP/2 end to end. Without it, only unary calls and server streaming work.
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
        # CPU is allocated, and billed, only while a request is served. This is the default only if no limits are set.
        cpu_idle = true
      }

      # The ingress forwards this probe to the server, so the instance gets requests only once both of them answer.
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
      # Both containers get SIGTERM at the same time. The server accepts calls until the ingress has drained.
      args = ["--port=50051", "--shutdown-delay=3", "--shutdown-grace=6"]

      resources {
        limits = {
          cpu    = "1"
          memory = "256Mi"
        }

        startup_cpu_boost = true
        # CPU is allocated, and billed, only while a request is served. This is the default only if no limits are set.
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
      error_message = "ingress_image is not set: it must be the reference that //ingress:push prints."
    }

    precondition {
      condition     = var.min_instances <= var.max_instances
      error_message = "max_instances is ${var.max_instances}: must be at least min_instances, which is ${var.min_instances}."
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
