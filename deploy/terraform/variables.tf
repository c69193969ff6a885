# What may differ from one deployment to the next.

variable "project" {
  description = "The Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is '${var.project}': accepted are 6 to 30 small letters, digits and '-', such as my-project."
  }
}

variable "region" {
  description = "The region, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region is '${var.region}': accepted is one such as europe-west1."
  }
}

variable "service" {
  description = "The name of the service, of its image, and of the service account that it runs as."
  type        = string
  default     = "calculator"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.service))
    error_message = "service is '${var.service}': accepted are 6 to 30 small letters, digits and '-', as for a service account."
  }
}

variable "repository" {
  description = "The name of the repository in Artifact Registry."
  type        = string
  default     = "calculator"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.repository))
    error_message = "repository is '${var.repository}': accepted are up to 63 small letters, digits and '-'."
  }
}

variable "image" {
  description = "The server's image, by digest, as //deploy:push prints it. Without one there is no service, only what it needs."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is '${coalesce(var.image, "empty")}': accepted is HOST/NAME@sha256:…, as //deploy:push prints it."
  }
}

variable "ingress_image" {
  description = "The image of what stands in front of the server, by digest, as //ingress:push prints it."
  type        = string
  default     = null

  validation {
    condition     = var.ingress_image == null || can(regex("@sha256:[0-9a-f]{64}$", var.ingress_image))
    error_message = "ingress_image is '${coalesce(var.ingress_image, "empty")}': accepted is HOST/NAME@sha256:…, as //ingress:push prints it."
  }
}

variable "invokers" {
  description = "Who may call the service, as members of IAM, such as user:somebody@example.com."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^[A-Za-z]+:.", member))])
    error_message = "invokers are [${join(", ", var.invokers)}]: accepted are members such as user:somebody@example.com; for a service that is open to all, set public."
  }
}

variable "public" {
  description = "Whether anybody may call the service, without a token."
  type        = bool
  default     = false
}

variable "min_instances" {
  description = "How many instances are always there."
  type        = number
  default     = 0

  validation {
    condition     = contains(range(1001), var.min_instances)
    error_message = "min_instances is ${var.min_instances}: accepted are 0 to 1000."
  }
}

variable "max_instances" {
  description = "How many instances there may be, which is what the worst day may cost."
  type        = number
  default     = 3

  validation {
    condition     = contains(range(1, 1001), var.max_instances)
    error_message = "max_instances is ${var.max_instances}: accepted are 1 to 1000."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service, as it otherwise would when image is left out."
  type        = bool
  default     = true
}
