"""The Terraform files say what Google's provider takes, all that it requires, and refer to what there is."""

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
# What the language itself has (https://developer.hashicorp.com/terraform/language), as far as it is used.
KINDS = {"output", "provider", "resource", "terraform", "variable"}
IN_AN_OUTPUT = {"description", "value"}
IN_A_RESOURCE = {"count", "depends_on", "for_each", "lifecycle"}
IN_A_VARIABLE = {"default", "description", "type", "validation"}
# Such as var.image, google_a.b, google_a.b[0].c and google_a.b[*].c.
REFERENCE = re.compile(r"\$\{(\w+\.\w+)(?:\[[^]]*\])?(?:\.(\w+))?")
# The provider's schema, as types of TypeScript: a folder for each resource, and one for the provider itself.
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
    """What may stand in a block.

    Attributes:
        type: of an attribute, a key of ATTRIBUTES; of a block, the name of its interface.
        is_required: whether it has to be there.
        values: the only ones, if they are listed.
    """

    type: str
    is_required: bool
    values: list[str]


class Types:
    """The types of a resource, or of the provider.

    Attributes:
        top: the interface of the whole.
    """

    def __init__(self, folder: Path) -> None:
        self._text = (folder / "index.d.ts").read_text(encoding="utf-8")
        self._interfaces = dict(INTERFACE.findall(self._text))
        self.top = next(iter(self._interfaces))

    def has(self, attribute: str) -> bool:
        """Return whether others may refer to an attribute, be it set or computed."""
        getter = re.sub(r"_(\w)", lambda letter: letter[1].upper(), attribute)
        return f"    get {getter}()" in self._text.partition(" extends cdktf.TerraformResource {")[2]

    def fields(self, interface: str) -> dict[str, Field]:
        """Return what may stand in a block, by the names that Terraform has for it."""
        fields = {}
        for comment, question_mark, written in FIELD.findall(self._interfaces[interface]):
            [*_, name] = re.findall(r"#(\w+)\}", comment)
            type_ = " ".join(written.removesuffix("| cdktf.IResolvable").split())
            values = re.search(r"Possible values: (\[.*?\])", comment)
            fields[name] = Field(type_, not question_mark, json.loads(values[1]) if values else [])
        assert len(fields) == self._interfaces[interface].count("\n    readonly "), f"{interface} is not understood"
        return fields


@cache
def _types(resource: str) -> Types | None:
    """Return the types of a resource, such as google_service_account, if the provider has it."""
    prefix, _, name = resource.partition("_")
    folder = FOLDERS / name.replace("_", "-")
    return Types(folder) if prefix == "google" and name and folder.exists() else None


def _of_block(types: Types, interface: str, block: dict[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with a block."""
    fields = types.fields(interface)
    for name, field in fields.items():
        if field.is_required and name not in block:
            yield f"{where} has no {name}"
    for name, value in block.items():
        if name in fields:
            yield from _of_value(types, fields[name], value, f"{where}.{name}")
        elif name != IS_BLOCK:
            yield f"{where} has an unknown {name}"


def _of_value(types: Types, field: Field, value: object, where: str) -> Iterator[str]:
    """Yield what is wrong with what stands in a block."""
    blocks = [one for one in value if isinstance(one, dict) and IS_BLOCK in one] if isinstance(value, list) else []
    if field.type not in ATTRIBUTES:
        if not blocks:
            yield f"{where} is to be a block"
        if len(blocks) > 1 and not field.type.endswith("[]"):
            yield f"{where} is there {len(blocks)} times"
        for block in blocks:
            yield from _of_block(types, field.type.removesuffix("[]"), block, where)
    elif blocks:
        yield f"{where} is to be no block"
    elif isinstance(value, str) and "${" in value:
        return  # what becomes of it, only Terraform knows
    elif type(value) is not ATTRIBUTES[field.type] or (field.values and value not in field.values):
        yield f"{where} is {value!r}: accepted is {field.values or field.type}"


def _labelled(document: dict[str, Any], kind: str) -> list[tuple[str, Any]]:
    return [labelled for block in document.get(kind, []) for labelled in block.items()]


def _of_resources(document: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the provider's settings and its resources."""
    provider = Types(FOLDERS / "provider")
    for name, block in _labelled(document, "provider"):
        yield from _of_block(provider, provider.top, block, f"provider {name}")
    for resource, named in _labelled(document, "resource"):
        if not (types := _types(resource)):
            yield f"{resource} is unknown"
            continue
        for name, block in named.items():
            body = {key: value for key, value in block.items() if key not in IN_A_RESOURCE}
            yield from _of_block(types, types.top, body, f"{resource}.{name}")


def _of_the_rest(document: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with what the language itself has."""
    for kind in document.keys() - KINDS:
        yield f"{kind} is unknown"
    for kind, known in {"output": IN_AN_OUTPUT, "variable": IN_A_VARIABLE}.items():
        for name, block in _labelled(document, kind):
            yield from (f"{kind} {name} has an unknown {key}" for key in block.keys() - known - {IS_BLOCK})


def _of_references(document: dict[str, Any], tree: hcl2.StartRule) -> Iterator[str]:
    """Yield what is referred to, but is not there."""
    variables = {f"var.{name}" for name, _ in _labelled(document, "variable")}
    resources = {
        f"{resource}.{name}": _types(resource) for resource, named in _labelled(document, "resource") for name in named
    }
    for rule in (GetAttrExprTermRule, FullSplatExprTermRule):
        for node in find_all(tree, rule):
            if not (found := REFERENCE.match(node.serialize())):
                continue  # an attribute of what a function returns: its arguments have their own turn
            what, attribute = found.groups()
            if what not in variables | resources.keys() | {"each.key"}:
                yield f"{what} is not declared"
            elif attribute and (types := resources.get(what)) and not types.has(attribute):
                yield f"{what} has no {attribute}"


def _complaints(text: str) -> list[str]:
    """Return what is wrong with Terraform files."""
    tree = hcl2.parses(text)
    document = hcl2.serialize(
        tree, serialization_options=hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
    )
    return [*_of_resources(document), *_of_the_rest(document), *_of_references(document, tree)]


def test_it_is_what_the_provider_takes() -> None:
    assert _complaints(TEXT) == []


def test_the_provider_is_the_one_that_is_checked_against() -> None:
    [version] = re.findall(r'version = "~> ([0-9.]+)"', TEXT)
    assert f"/hashicorp/google/{version}.0/" in (FOLDERS / "provider/index.d.ts").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("ingress  ", "ingres  ", "google_cloud_run_v2_service.calculator has an unknown ingres"),
        ("startup_probe {", "startup_prob {", "containers has an unknown startup_prob"),
        ("port = 8080", "prot = 8080", "startup_probe.grpc has an unknown prot"),
        ("startup_cpu_boost =", "startup_cpu_bost =", "resources has an unknown startup_cpu_bost"),
        ("  image = var.image", "", "google_cloud_run_v2_service.calculator.template.containers has no image"),
        ("  account_id   = var.service", "", "google_service_account.calculator has no account_id"),
        ("template {", "ports {", "google_cloud_run_v2_service.calculator has no template"),
        ("grpc {", "grpc = {", "startup_probe.grpc is to be a block"),
        ("limits = {", "limits {", "resources.limits is to be no block"),
        ("ports {", "ports {\n}\nports {", "containers.ports is there 2 times"),
        ("port = 8080", 'port = "http"', "grpc.port is 'http': accepted is number"),
        ('"300s"', "300", "template.timeout is 300: accepted is string"),
        ('"KEEP"', '"KEPT"', "cleanup_policies.action is 'KEPT': accepted is ['DELETE', 'KEEP']"),
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
        ("[*].uri", "[*].url", "google_cloud_run_v2_service.calculator has no url"),
    ],
)
def test_what_terraform_would_refuse_is_found(right: str, wrong: str, complaint: str) -> None:
    assert right in TEXT
    assert complaint in "\n".join(_complaints(TEXT.replace(right, wrong)))
