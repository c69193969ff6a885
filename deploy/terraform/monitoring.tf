# The dashboard and the alert policies, if var.monitoring is true. docs/guides/observe.md explains them.

locals {
  # Restricts a metric of Cloud Run, or of its log, to the service. PromQL requires the type of a resource if there are several.
  revision = "monitored_resource='cloud_run_revision', service_name='${var.service}', location='${var.region}'"
  # Restricts the metrics that the server exports over OTLP to the service, without health checks, reflection and unknown methods.
  job = "job='${var.service}', location='${var.region}', rpc_method!~'grpc[.].*|_OTHER'"
  # google_logging_metric.calls in PromQL: https://cloud.google.com/monitoring/promql/promql-mapping.
  log_calls = "logging_googleapis_com:user_${replace(var.service, "-", "_")}_calls"
  # The status codes that are errors of the server: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/.
  server_errors = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
  # The log has any name that a caller invents. Others than these would be errors of the caller, and unlimited time series.
  methods = "/(calculator[.]v1[.])?Calculator/(Calculate|Evaluate|Aggregate|Converse)|/routeguide[.]RouteGuide/(GetFeature|ListFeatures|RecordRoute|RouteChat)"
  # A stream lasts as long as its client wants, so its duration says nothing about the server.
  unary_methods = ".*/(Calculate|GetFeature)"
  window        = "${var.alert_window_minutes}m"
}

# For HTTP, and so for Cloud Run's own metrics, a failed gRPC call is a successful request: its status is in the trailers.
# The access log has the status.
resource "google_logging_metric" "calls" {
  count = var.monitoring ? 1 : 0

  name        = "${var.service}/calls"
  description = "Durations of the calls in the access log of ${var.service}, without health checks and reflection."

  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="${var.service}"
    resource.labels.location="${var.region}"
    jsonPayload.duration_ms>=0
    jsonPayload.method=~"^(${local.methods})$"
  EOT

  value_extractor = "EXTRACT(jsonPayload.duration_ms)"

  label_extractors = {
    method = "EXTRACT(jsonPayload.method)"
    status = "EXTRACT(jsonPayload.status)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"

    labels {
      key         = "method"
      value_type  = "STRING"
      description = "The path of the method."
    }

    labels {
      key         = "status"
      value_type  = "STRING"
      description = "The name of the status code."
    }
  }

  bucket_options {
    explicit_buckets {
      bounds = [0.5, 1, 2.5, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "error_ratio" {
  count = var.monitoring ? 1 : 0

  display_name          = "${var.service}: error ratio"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "Too many requests end with HTTP status 5xx"

    condition_prometheus_query_language {
      query = <<-EOT
        sum(rate(run_googleapis_com:request_count{${local.revision}, response_code_class='5xx'}[${local.window}]))
          / sum(rate(run_googleapis_com:request_count{${local.revision}}[${local.window}]))
          > ${var.max_error_ratio}
        and sum(increase(run_googleapis_com:request_count{${local.revision}}[${local.window}])) >= ${var.alert_min_calls}
      EOT

      duration = "60s"
      # The metric does not exist before the first request.
      disable_metric_validation = true
    }
  }

  conditions {
    display_name = "Too many calls end with a status code that is an error of the server"

    condition_prometheus_query_language {
      # The access log, and the metrics that the server exports over OTLP, if any: either can fire the alert.
      query = <<-EOT
        (
          sum(rate(${local.log_calls}_count{${local.revision}, status=~'${local.server_errors}'}[${local.window}]))
            / sum(rate(${local.log_calls}_count{${local.revision}}[${local.window}]))
            > ${var.max_error_ratio}
          and sum(increase(${local.log_calls}_count{${local.revision}}[${local.window}])) >= ${var.alert_min_calls}
        ) or (
          sum(rate(rpc_server_call_duration_seconds_count{${local.job}, error_type!=''}[${local.window}]))
            / sum(rate(rpc_server_call_duration_seconds_count{${local.job}}[${local.window}]))
            > ${var.max_error_ratio}
          and sum(increase(rpc_server_call_duration_seconds_count{${local.job}}[${local.window}])) >= ${var.alert_min_calls}
        )
      EOT

      duration                  = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"

    content = <<-EOT
      In the last ${var.alert_window_minutes} minutes, the ratio of errors of the server was above ${var.max_error_ratio}.

      1. Requests with HTTP status 5xx that have no line in the access log did not reach the server: look for instances that
         crash or do not start, in the log of the service.
      2. Otherwise, find the failed calls in the Logs Explorer: `jsonPayload.status=~"^(${local.server_errors})$"`.
      3. If a new revision causes the errors, direct the traffic to the previous one.

      The runbook is ${var.repository_url}docs/guides/observe.md#error-ratio, and ${var.repository_url}docs/guides/debug.md
      explains status codes.
    EOT
  }

  depends_on = [google_logging_metric.calls]
}

resource "google_monitoring_alert_policy" "latency" {
  count = var.monitoring ? 1 : 0

  display_name          = "${var.service}: p99 latency"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "The p99 duration of unary calls is too long"

    condition_prometheus_query_language {
      # The access log, and the metrics that the server exports over OTLP, if any: either can fire the alert.
      query = <<-EOT
        (
          histogram_quantile(0.99, sum by (le) (
            rate(${local.log_calls}_bucket{${local.revision}, method=~'${local.unary_methods}'}[${local.window}])
          )) > ${var.max_p99_ms}
          and sum(increase(${local.log_calls}_count{${local.revision}, method=~'${local.unary_methods}'}[${local.window}]))
            >= ${var.alert_min_calls}
        ) or (
          1000 * histogram_quantile(0.99, sum by (le) (
            rate(rpc_server_call_duration_seconds_bucket{${local.job}, rpc_method=~'${local.unary_methods}'}[${local.window}])
          )) > ${var.max_p99_ms}
          and sum(increase(rpc_server_call_duration_seconds_count{${local.job}, rpc_method=~'${local.unary_methods}'}[${local.window}]))
            >= ${var.alert_min_calls}
        )
      EOT

      duration                  = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"

    content = <<-EOT
      In the last ${var.alert_window_minutes} minutes, one of 100 unary calls took longer than ${var.max_p99_ms} ms in the server.

      1. On the dashboard, look at the CPU and the instances: at the maximum number of instances, calls share too little CPU.
      2. Find the slow calls in the Logs Explorer: `jsonPayload.duration_ms>${var.max_p99_ms}`. Each links to its trace.
      3. Look for warnings about a handler that blocks.

      The runbook is ${var.repository_url}docs/guides/observe.md#latency.
    EOT
  }

  depends_on = [google_logging_metric.calls]
}

resource "google_monitoring_dashboard" "calculator" {
  count = var.monitoring ? 1 : 0

  dashboard_json = templatefile("${path.module}/dashboard.json", {
    job           = local.job
    log_calls     = local.log_calls
    revision      = local.revision
    service       = var.service
    unary_methods = local.unary_methods
  })

  depends_on = [google_logging_metric.calls]
}
