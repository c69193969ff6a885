"""Validates values against Google's own description of an API, from which Google generates its clients."""

import re
from typing import Any

from jsonschema import Draft202012Validator

# Some lists of values are only in descriptions: 'Allowed values are "http1" and "h2c".'.
_VALUES = re.compile(r'(?:[Mm]ust be|Allowed values are) ("[^"]+"(?: and "[^"]+")*)\.')
_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}


def _is_writable(field: dict[str, Any]) -> bool:
    return not field.get("readOnly") and not field.get("description", "").startswith("Not supported by Cloud Run")


def _schema(described: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a described type. The schema is closed: an unknown field is an error."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema: dict[str, Any] = {key: described[key] for key in ("type", "enum") if key in described}
    if described.get("format") == "int32":
        schema |= _INT32
    if values := _VALUES.search(described.get("description", "")):
        schema["enum"] = re.findall(r'"([^"]+)"', values[1])
    if described["type"] == "array":
        schema["items"] = _schema(described["items"])
    if described["type"] == "object":
        fields = described.get("properties", {}).items()
        schema["properties"] = {name: _schema(field) for name, field in fields if _is_writable(field)}
        others: dict[str, Any] = described.get("additionalProperties", {})
        schema["additionalProperties"] = bool(others) and _schema(others)
    return schema


def errors(types: dict[str, Any], name: str, value: object) -> list[str]:
    """Return the errors in a value, each with its JSON path.

    Args:
        types: the `schemas` of a discovery document
            (https://developers.google.com/discovery/v1/reference/apis#resource-representations).
        name: the name of the value's type.
        value: the value, as parsed from JSON.
    """
    definitions = {each: _schema(described) for each, described in types.items()}
    schema = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(value)]
