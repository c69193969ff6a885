"""The manifest that //deploy makes of service.yaml is valid, according to Google's own description of the API."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

# The types of https://cloud.google.com/run/docs/reference/rest/v1, in the form that Google generates its clients from.
TYPES = json.loads(Path(os.environ["RUN_API"]).read_text(encoding="utf-8"))["schemas"]
# Some lists are only in descriptions: 'Allowed values are "http1" and "h2c".', '* `ANNOTATION`: Service, Revision.'.
VALUES = re.compile(r'(?:[Mm]ust be|Allowed values are) ("[^"]+"(?: and "[^"]+")*)\.')
ANNOTATIONS = re.compile(r"\* `([^`]+)`: ([^*]+)")
INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
# The manifest that a dry run prints, as deploy_test.py checks.
SERVICE = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8").partition("service.yaml:\n")[2]


def _is_writable(field: dict[str, Any]) -> bool:
    return not field.get("readOnly") and not field.get("description", "").startswith("Not supported by Cloud Run")


def _schema(described: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a described type. The schema is closed: an unknown field is an error."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema: dict[str, Any] = {key: described[key] for key in ("type", "enum") if key in described}
    if described.get("format") == "int32":
        schema |= INT32
    if values := VALUES.search(described.get("description", "")):
        schema["enum"] = re.findall(r'"([^"]+)"', values[1])
    if described["type"] == "array":
        schema["items"] = _schema(described["items"])
    if described["type"] == "object":
        fields = described.get("properties", {}).items()
        schema["properties"] = {name: _schema(field) for name, field in fields if _is_writable(field)}
        others: dict[str, Any] = described.get("additionalProperties", {})
        schema["additionalProperties"] = bool(others) and _schema(others)
    return schema


def _errors(text: str) -> list[str]:
    """Return the errors in a manifest, which is YAML."""
    service = yaml.safe_load(text)
    types = {name: _schema(described) for name, described in TYPES.items()}
    schema = Draft202012Validator({"$ref": "#/$defs/Service", "$defs": types})
    errors = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(service)]
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
