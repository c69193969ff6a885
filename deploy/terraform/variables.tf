# Settings that may differ between deployments.

variable "project" {
  description = "The Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is '${var.project}': must be 6 to 30 lowercase letters, digits and '-', starting with a letter, such as my-project."
  }
}

variable "region" {
  description = "The region, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region is '${var.region}': must be a region, such as europe-west1."
  }
}

variable "service" {
  description = "The name of the service, of its image, and of the service account that it runs as."
  type        = string
  default     = "calculator"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.service))
    error_message = "service is '${var.service}': must be 6 to 30 lowercase letters, digits and '-', starting with a letter, as it also names a service account."
  }
}

variable "repository" {
  description = "The name of the repository in Artifact Registry."
  type        = string
  default     = "calculator"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.repository))
    error_message = "repository is '${var.repository}': must be 1 to 63 lowercase letters, digits and '-', starting with a letter."
  }
}

variable "image" {
  description = "The server's image, by digest, as //deploy:push prints it. Without an image, only the resources that the service needs are created."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is '${coalesce(var.image, "empty")}': must be HOST/NAME@sha256:…, as //deploy:push prints it."
  }
}

variable "ingress_image" {
  description = "The ingress's image, by digest, as //ingress:push prints it. Required if image is set."
  type        = string
  default     = null

  validation {
    condition     = var.ingress_image == null || can(regex("@sha256:[0-9a-f]{64}$", var.ingress_image))
    error_message = "ingress_image is '${coalesce(var.ingress_image, "empty")}': must be HOST/NAME@sha256:…, as //ingress:push prints it."
  }
}

variable "invokers" {
  description = "The IAM members that may call the service, such as user:somebody@example.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^[A-Za-z]+:.", member))])
    error_message = "invokers are [${join(", ", var.invokers)}]: must be IAM members, such as user:somebody@example.com. To let everybody call the service, set public."
  }
}

variable "public" {
  description = "Whether everybody may call the service, without a token."
  type        = bool
  default     = false
}

variable "min_instances" {
  description = "The number of instances that are always running."
  type        = number
  default     = 0

  validation {
    condition     = contains(range(1001), var.min_instances)
    error_message = "min_instances is ${var.min_instances}: must be 0 to 1000."
  }
}

variable "max_instances" {
  description = "The maximum number of instances, which caps the cost."
  type        = number
  default     = 3

  validation {
    condition     = contains(range(1, 1001), var.max_instances)
    error_message = "max_instances is ${var.max_instances}: must be 1 to 1000."
  }
}

variable "binary_authorization_key" {
  description = "The version of a key in Cloud KMS, as projects/…/cryptoKeyVersions/1. If it is set, Binary Authorization refuses images that this key has not attested."
  type        = string
  default     = null

  validation {
    condition     = var.binary_authorization_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[0-9]+$", var.binary_authorization_key))
    error_message = "binary_authorization_key is '${coalesce(var.binary_authorization_key, "empty")}': must be projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/NUMBER."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service. Otherwise it would delete the service when image is not set."
  type        = bool
  default     = true
}

variable "monitoring" {
  description = "Whether to create the dashboard, the alert policies, and the log-based metric that they use."
  type        = bool
  default     = false
}

variable "notification_channels" {
  description = "The notification channels of the alerts, such as projects/my-project/notificationChannels/123. Without one, incidents are only listed in Cloud Monitoring."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "notification_channels are [${join(", ", var.notification_channels)}]: must be projects/PROJECT/notificationChannels/ID, as gcloud beta monitoring channels list prints them."
  }
}

variable "max_error_ratio" {
  description = "The ratio of calls that fail because of the server, above which there is an alert."
  type        = number
  default     = 0.05

  validation {
    condition     = var.max_error_ratio > 0 && var.max_error_ratio < 1
    error_message = "max_error_ratio is ${var.max_error_ratio}: must be between 0 and 1, such as 0.05."
  }
}

variable "max_p99_ms" {
  description = "The p99 duration of unary calls in the server, in milliseconds, above which there is an alert."
  type        = number
  default     = 500

  validation {
    condition     = var.max_p99_ms >= 1 && var.max_p99_ms < 10000
    error_message = "max_p99_ms is ${var.max_p99_ms}: must be at least 1 and less than 10000, where the histogram of durations ends."
  }
}

variable "alert_window_minutes" {
  description = "The time over which alerts compute the error ratio and the p99 duration, in minutes."
  type        = number
  default     = 5

  validation {
    condition     = contains(range(2, 61), var.alert_window_minutes)
    error_message = "alert_window_minutes is ${var.alert_window_minutes}: must be 2 to 60; Cloud Run's metrics have one value per minute."
  }
}

variable "alert_min_calls" {
  description = "The number of calls in this time below which there is no alert, because a few calls say little about a ratio."
  type        = number
  default     = 20

  validation {
    condition     = var.alert_min_calls >= 1 && floor(var.alert_min_calls) == var.alert_min_calls
    error_message = "alert_min_calls is ${var.alert_min_calls}: must be a whole number, 1 or more."
  }
}

variable "repository_url" {
  description = "The URL under which this repository's files can be read, ending in /, such as https://git.example.com/calculator/blob/main/. The alerts link to the guides below it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(https://.+/)?$", var.repository_url))
    error_message = "repository_url is '${var.repository_url}': must be empty or an https:// URL that ends in /."
  }
}
