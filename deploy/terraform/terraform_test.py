"""Tests that the Terraform files match the schema of Google's provider, and that their references exist."""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hcl2
import pytest
from hcl2.rules.indexing import FullSplatExprTermRule, GetAttrExprTermRule
from hcl2.walk import find_all

TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path("deploy/terraform").glob("*.tf")))
IS_BLOCK = "__is_block__"
# The blocks and arguments of the language itself that are used: https://developer.hashicorp.com/terraform/language.
KINDS = {"data", "locals", "output", "provider", "resource", "terraform", "variable"}
OUTPUT_ARGUMENTS = {"description", "value"}
# Values that the language declares itself.
BUILT_IN = {"each.key", "path.module"}
META_ARGUMENTS = {"count", "depends_on", "for_each", "lifecycle"}
VARIABLE_ARGUMENTS = {"default", "description", "type", "validation"}
# References such as var.image, google_a.b, google_a.b[0].c, google_a.b[*].c and data.google_a.b[0].c.
REFERENCE = re.compile(r"\$\{((?:data\.\w+|(?!data\.)\w+)\.\w+)(?:\[[^]]*\])?(?:\.(\w+))?")
# The provider's schema as TypeScript types: a folder for each resource, and one for the provider itself.
FOLDERS = Path(os.environ["PROVIDER_TYPES"])
INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"/\*\*((?:(?!\*/).)*)\*/\s+readonly \w+(\??): ([^;{]*(?:\{[^}]*\})?);", re.DOTALL)
ATTRIBUTES = {
    "boolean": bool,
    "number": int,
    "number[]": list,
    "string": str,
    "string[]": list,
    "{ [key: string]: string; }": dict,
}


class Field(NamedTuple):
    """An attribute or a nested block that a block may have.

    Attributes:
        type: a key of ATTRIBUTES for an attribute, the name of the interface for a block.
        is_required: whether the field is required.
        values: the accepted values; empty if they are not listed.
    """

    type: str
    is_required: bool
    values: list[str]


class Types:
    """The types of a resource, or of the provider.

    Attributes:
        top: the name of the outermost interface.
    """

    def __init__(self, folder: Path) -> None:
        self._text = (folder / "index.d.ts").read_text(encoding="utf-8")
        self._interfaces = dict(INTERFACE.findall(self._text))
        self.top = next(iter(self._interfaces))

    def has(self, attribute: str) -> bool:
        """Return whether an attribute can be referred to; it may be set or computed."""
        getter = re.sub(r"_(\w)", lambda letter: letter[1].upper(), attribute)
        return f"    get {getter}()" in re.split(r" extends cdktf\.Terraform(?:Resource|DataSource) \{", self._text)[1]

    def fields(self, interface: str) -> dict[str, Field]:
        """Return the fields that a block may have, by their names in Terraform."""
        fields = {}
        for comment, question_mark, written in FIELD.findall(self._interfaces[interface]):
            [*_, name] = re.findall(r"#(\w+)\}", comment)
            type_ = " ".join(written.removesuffix("| cdktf.IResolvable").split())
            values = re.search(r"Possible values: (\[.*?\])", comment)
            fields[name] = Field(type_, not question_mark, json.loads(values[1]) if values else [])
        assert len(fields) == self._interfaces[interface].count("\n    readonly "), f"{interface} is not understood"
        return fields


@cache
def _types(kind: str, resource: str) -> Types | None:
    """Return the types of a resource, such as google_service_account; None if the provider does not have it.

    Args:
        kind: "resource" or "data".
        resource: the name of the resource, or of the data source.
    """
    prefix, _, name = resource.partition("_")
    folder = FOLDERS / {"resource": name, "data": f"data-google-{name}"}[kind].replace("_", "-")
    return Types(folder) if prefix == "google" and name and folder.exists() else None


def _expanded(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block in which each dynamic block has generated one block."""
    generated = {name: each["content"] for dynamic in block.get("dynamic", []) for name, each in dynamic.items()}
    return {name: value for name, value in block.items() if name != "dynamic"} | generated


def _of_block(types: Types, interface: str, block: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the errors in a block."""
    fields = types.fields(interface)
    block = _expanded(block)
    for name, field in fields.items():
        if field.is_required and name not in block:
            yield f"{where} has no {name}"
    for name, value in block.items():
        if name in fields:
            yield from _of_value(types, fields[name], value, f"{where}.{name}")
        elif name != IS_BLOCK:
            yield f"{where} has an unknown {name}"


def _of_value(types: Types, field: Field, value: object, where: str) -> Iterator[str]:
    """Yield the errors in the value of a field."""
    blocks = [one for one in value if isinstance(one, dict) and IS_BLOCK in one] if isinstance(value, list) else []
    if field.type not in ATTRIBUTES:
        if not blocks:
            yield f"{where} must be a block"
        if len(blocks) > 1 and not field.type.endswith("[]"):
            yield f"{where} occurs {len(blocks)} times"
        for block in blocks:
            yield from _of_block(types, field.type.removesuffix("[]"), block, where)
    elif blocks:
        yield f"{where} must not be a block"
    elif isinstance(value, str) and "${" in value:
        return  # only Terraform can evaluate an expression
    elif type(value) is not ATTRIBUTES[field.type] or (field.values and value not in field.values):
        yield f"{where} is {value!r}: must be {field.values or field.type}"


def _labelled(document: dict[str, Any], kind: str) -> list[tuple[str, Any]]:
    return [labelled for block in document.get(kind, []) for labelled in block.items()]


def _resources(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the resources and data sources of each type: "resource" or "data", the type, and the blocks by name."""
    for kind in ("resource", "data"):
        for resource, named in _labelled(document, kind):
            yield kind, resource, {name: block for name, block in named.items() if name != IS_BLOCK}


def _of_resources(document: dict[str, Any]) -> Iterator[str]:
    """Yield the errors in the provider's settings and in its resources."""
    provider = Types(FOLDERS / "provider")
    for name, block in _labelled(document, "provider"):
        yield from _of_block(provider, provider.top, block, f"provider {name}")
    for kind, resource, named in _resources(document):
        if not (types := _types(kind, resource)):
            yield f"{resource} is unknown"
            continue
        for name, block in named.items():
            body = {key: value for key, value in block.items() if key not in META_ARGUMENTS}
            yield from _of_block(types, types.top, body, f"{resource}.{name}")


def _of_language(document: dict[str, Any]) -> Iterator[str]:
    """Yield the errors in the blocks of the language itself."""
    for kind in document.keys() - KINDS:
        yield f"{kind} is unknown"
    for kind, known in {"output": OUTPUT_ARGUMENTS, "variable": VARIABLE_ARGUMENTS}.items():
        for name, block in _labelled(document, kind):
            yield from (f"{kind} {name} has an unknown {key}" for key in block.keys() - known - {IS_BLOCK})


def _of_references(document: dict[str, Any], tree: hcl2.StartRule) -> Iterator[str]:
    """Yield the references to variables, locals, resources and attributes that do not exist."""
    values = {f"var.{name}" for name, _ in _labelled(document, "variable")}
    values |= {f"local.{name}" for name, _ in _labelled(document, "locals")}
    resources = {
        f"{'data.' * (kind == 'data')}{resource}.{name}": _types(kind, resource)
        for kind, resource, named in _resources(document)
        for name in named
    }
    for rule in (GetAttrExprTermRule, FullSplatExprTermRule):
        for node in find_all(tree, rule):
            if not (found := REFERENCE.match(node.serialize())):
                continue  # an attribute of a function's result; references in its arguments are found separately
            target, attribute = found.groups()
            if target not in values | resources.keys() | BUILT_IN:
                yield f"{target} is not declared"
            elif attribute and (types := resources.get(target)) and not types.has(attribute):
                yield f"{target} has no {attribute}"


def _errors(text: str) -> list[str]:
    """Return the errors in the text of Terraform files."""
    tree = hcl2.parses(text)
    document = hcl2.serialize(
        tree, serialization_options=hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
    )
    return [*_of_resources(document), *_of_language(document), *_of_references(document, tree)]


def test_the_files_match_the_schema_of_the_provider() -> None:
    assert _errors(TEXT) == []


def test_the_schema_is_that_of_the_providers_version() -> None:
    [version] = re.findall(r'version = "~> ([0-9.]+)"', TEXT)
    assert f"/hashicorp/google/{version}.0/" in (FOLDERS / "provider/index.d.ts").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("ingress  ", "ingres  ", "google_cloud_run_v2_service.calculator has an unknown ingres"),
        ("startup_probe {", "startup_prob {", "containers has an unknown startup_prob"),
        ("port = 8080", "prot = 8080", "startup_probe.grpc has an unknown prot"),
        ("startup_cpu_boost =", "startup_cpu_bost =", "resources has an unknown startup_cpu_bost"),
        ("  image = var.image", "", "google_cloud_run_v2_service.calculator.template.containers has no image"),
        ("  account_id   = var.service", "", "google_service_account.calculator has no account_id"),
        ("template {", "ports {", "google_cloud_run_v2_service.calculator has no template"),
        ("grpc {", "grpc = {", "startup_probe.grpc must be a block"),
        ("limits = {", "limits {", "resources.limits must not be a block"),
        ("ports {", "ports {\n}\nports {", "containers.ports occurs 2 times"),
        ("port = 8080", 'port = "http"', "grpc.port is 'http': must be number"),
        ('"300s"', "300", "template.timeout is 300: must be string"),
        ('"KEEP"', '"KEPT"', "cleanup_policies.action is 'KEPT': must be ['DELETE', 'KEEP']"),
        ('"google_service_account"', '"google_service_acount"', "google_service_acount is unknown"),
        ('"google_service_account"', '"service_account"', "service_account is unknown"),
        ("region  = var.region", "regoin = var.region", "provider google has an unknown regoin"),
        ("default     = 3", "defualt = 3", "variable max_instances has an unknown defualt"),
        ("var.max_instances\n", "var.most_instances\n", "var.most_instances is not declared"),
        ("${var.service}", "${var.servis}", "var.servis is not declared"),
        (
            "google_service_account.calculator.email",
            "google_service_account.me.email",
            "google_service_account.me is not",
        ),
        ("calculator.email", "calculator.e_mail", "google_service_account.calculator has no e_mail"),
        (
            "use_default =",
            "use_defaults =",
            "google_cloud_run_v2_service.calculator.binary_authorization has an unknown",
        ),
        ('"REQUIRE_ATTESTATION"', '"REQUIRE"', "default_admission_rule.evaluation_mode is 'REQUIRE': must be ["),
        ("crypto_key = split", "cryptokey = split", "google_kms_crypto_key_version.attestor has no crypto_key"),
        ('data "google_kms_crypto_key_version"', 'data "google_kms_key_version"', "google_kms_key_version is unknown"),
        (
            "id = data.google_kms_crypto_key_version.attestor",
            "id = data.google_kms_crypto_key_version.key",
            "data.google_kms_crypto_key_version.key is not declared",
        ),
        (".public_key[0].pem", ".public_keys[0].pem", "google_kms_crypto_key_version.attestor has no public_keys"),
        ("[*].uri", "[*].url", "google_cloud_run_v2_service.calculator has no url"),
        ("= local.job", "= local.jobs", "local.jobs is not declared"),
        ("value_extractor =", "value_extraction =", "google_logging_metric.calls has an unknown value_extraction"),
        ("bounds =", "bound =", "bucket_options.explicit_buckets has no bounds"),
        ('"DELTA"', '"DELTAS"', "metric_descriptor.metric_kind is 'DELTAS': must be ['DELTA',"),
        ('"WARNING"', '"WARN"', "google_monitoring_alert_policy.latency.severity is 'WARN': must be ['CRITICAL',"),
        ("duration = ", "durations = ", "conditions.condition_prometheus_query_language has an unknown durations"),
        ("dashboard_json =", "json =", "google_monitoring_dashboard.calculator has no dashboard_json"),
    ],
)
def test_an_error_that_terraform_would_report_is_found(right: str, wrong: str, error: str) -> None:
    assert right in TEXT
    assert error in "\n".join(_errors(TEXT.replace(right, wrong)))
