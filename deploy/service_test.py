"""service.yaml, as //deploy fills it in, is what Cloud Run takes, by Google's own description of its API."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

# The types of https://cloud.google.com/run/docs/reference/rest/v1, as Google's clients are made from.
TYPES = json.loads(Path(os.environ["RUN_API"]).read_text(encoding="utf-8"))["schemas"]
# Some lists are there in words only: 'Allowed values are "http1" and "h2c".', '* `ANNOTATION`: Service, Revision.'.
VALUES = re.compile(r'(?:[Mm]ust be|Allowed values are) ("[^"]+"(?: and "[^"]+")*)\.')
ANNOTATIONS = re.compile(r"\* `([^`]+)`: ([^*]+)")
INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
# What a dry run prints; deploy_test.py sees to that.
SERVICE = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8").partition("service.yaml:\n")[2]


def _is_for_us(field: dict[str, Any]) -> bool:
    return not field.get("readOnly") and not field.get("description", "").startswith("Not supported by Cloud Run")


def _schema(described: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a described type, closed: a field that it does not name is an error."""
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
        schema["properties"] = {name: _schema(field) for name, field in fields if _is_for_us(field)}
        others: dict[str, Any] = described.get("additionalProperties", {})
        schema["additionalProperties"] = bool(others) and _schema(others)
    return schema


def _complaints(text: str) -> list[str]:
    """Return what is wrong with a service, in YAML."""
    service = yaml.safe_load(text)
    types = {name: _schema(described) for name, described in TYPES.items()}
    schema = Draft202012Validator({"$ref": "#/$defs/Service", "$defs": types})
    complaints = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(service)]
    annotations = ANNOTATIONS.findall(TYPES["ObjectMeta"]["properties"]["annotations"]["description"])
    for kind, metadata in {"Service": service["metadata"], "Revision": service["spec"]["template"]["metadata"]}.items():
        known = {key for key, kinds in annotations if kind in kinds or "All resources" in kinds}
        complaints += [f"{key} is no annotation of a {kind}" for key in metadata["annotations"] if key not in known]
    return complaints


def test_it_is_what_the_api_takes() -> None:
    assert _complaints(SERVICE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
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
        ("minScale", "minScal", "autoscaling.knative.dev/minScal is no annotation of a Revision"),
        ("googleapis.com/ingress", "googleapis.com/cpu-throttling", "is no annotation of a Service"),
        ("latestRevision: true", "url: https://a", "$.spec.traffic[0]: Additional properties are not allowed ('url'"),
        ("timeoutSeconds: 300", "enableServiceLinks: true", "'enableServiceLinks' was unexpected"),
    ],
)
def test_what_the_api_would_refuse_is_found(right: str, wrong: str, complaint: str) -> None:
    assert right in SERVICE
    assert complaint in "\n".join(_complaints(SERVICE.replace(right, wrong)))
