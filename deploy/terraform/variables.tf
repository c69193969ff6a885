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
