"""The manifest that //deploy makes of service.yaml is valid, according to Google's own description of the API."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from testing import discovery

# The types of https://cloud.google.com/run/docs/reference/rest/v1, in the form that Google generates its clients from.
TYPES = json.loads(Path(os.environ["RUN_API"]).read_text(encoding="utf-8"))["schemas"]
# The list of annotations is only in a description: '* `ANNOTATION`: Service, Revision.'.
ANNOTATIONS = re.compile(r"\* `([^`]+)`: ([^*]+)")
# The manifest that a dry run prints, as deploy_test.py checks.
SERVICE = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8").partition("service.yaml:\n")[2]


def _errors(text: str) -> list[str]:
    """Return the errors in a manifest, which is YAML."""
    service = yaml.safe_load(text)
    errors = discovery.errors(TYPES, "Service", service)
    annotations = ANNOTATIONS.findall(TYPES["ObjectMeta"]["properties"]["annotations"]["description"])
    for kind, metadata in {"Service": service["metadata"], "Revision": service["spec"]["template"]["metadata"]}.items():
        known = {key for key, kinds in annotations if kind in kinds or "All resources" in kinds}
        errors += [f"{key} is not an annotation of a {kind}" for key in metadata["annotations"] if key not in known]
    return errors


def test_the_manifest_matches_the_schema_of_the_api() -> None:
    assert _errors(SERVICE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("startupProbe:", "startupProb:", "'startupProb' was unexpected"),
        ("containerConcurrency:", "containerConcurency:", "'containerConcurency' was unexpected"),
        ("port: 8080", "prot: 8080", "'prot' was unexpected"),
        ("containerConcurrency: 80", 'containerConcurrency: "80"', "'80' is not of type 'integer'"),
        ("timeoutSeconds: 300", "timeoutSeconds: 3000000000", "3000000000 is greater than the maximum"),
        ('cpu: "1"', "cpu: 1", "1 is not of type 'string'"),
        ('minScale: "0"', "minScale: 0", "0 is not of type 'string'"),
        ("name: h2c", "name: h2", "'h2' is not one of ['http1', 'h2c']"),
        ("kind: Service", "kind: Job", "'Job' is not one of ['Service']"),
        ("minScale", "minScal", "autoscaling.knative.dev/minScal is not an annotation of a Revision"),
        ("googleapis.com/ingress", "googleapis.com/cpu-throttling", "is not an annotation of a Service"),
        ("latestRevision: true", "url: https://a", "$.spec.traffic[0]: Additional properties are not allowed ('url'"),
        ("timeoutSeconds: 300", "enableServiceLinks: true", "'enableServiceLinks' was unexpected"),
    ],
)
def test_the_schema_finds_a_manifest_that_the_api_would_reject(right: str, wrong: str, error: str) -> None:
    assert right in SERVICE
    assert error in "\n".join(_errors(SERVICE.replace(right, wrong)))
