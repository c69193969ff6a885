# An option, off by default: Binary Authorization, with which Cloud Run runs only images that a key has attested.

data "google_kms_crypto_key_version" "attestor" {
  count = var.binary_authorization_key == null ? 0 : 1

  crypto_key = split("/cryptoKeyVersions/", var.binary_authorization_key)[0]
  version    = split("/cryptoKeyVersions/", var.binary_authorization_key)[1]
}

resource "google_container_analysis_note" "attestor" {
  count = var.binary_authorization_key == null ? 0 : 1

  name = var.service

  attestation_authority {
    hint {
      human_readable_name = "The image was released"
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_binary_authorization_attestor" "attestor" {
  count = var.binary_authorization_key == null ? 0 : 1

  name = var.service

  attestation_authority_note {
    note_reference = google_container_analysis_note.attestor[0].name

    public_keys {
      id = data.google_kms_crypto_key_version.attestor[0].id

      pkix_public_key {
        public_key_pem      = data.google_kms_crypto_key_version.attestor[0].public_key[0].pem
        signature_algorithm = data.google_kms_crypto_key_version.attestor[0].public_key[0].algorithm
      }
    }
  }

  depends_on = [google_project_service.apis]
}

# A project has only one policy. It also applies to other services and clusters that use Binary Authorization.
resource "google_binary_authorization_policy" "attested" {
  count = var.binary_authorization_key == null ? 0 : 1

  # Google's own images, which some services run, need no attestation.
  global_policy_evaluation_mode = "ENABLE"

  default_admission_rule {
    evaluation_mode         = "REQUIRE_ATTESTATION"
    enforcement_mode        = "ENFORCED_BLOCK_AND_AUDIT_LOG"
    require_attestations_by = [google_binary_authorization_attestor.attestor[0].name]
  }
}
