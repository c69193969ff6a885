"""Tests that Terraform and service.yaml give the service the same settings."""

import json
from collections.abc import Iterator
from pathlib import Path

import hcl2
import yaml

# Keys that only group settings, and are not part of a setting's name.
LEVELS = {"annotations", "metadata", "spec", "template"}
# The name of each setting in Terraform, and in service.yaml.
SAME = {
    "ingress": "run.googleapis.com/ingress",
    "max_instance_request_concurrency": "containerConcurrency",
    "name": "name",
    "scaling max_instance_count": "autoscaling.knative.dev/maxScale",
    "scaling min_instance_count": "autoscaling.knative.dev/minScale",
    "timeout": "timeoutSeconds",
    "traffic percent": "traffic percent",
    "traffic type": "traffic latestRevision",
    "containers ingress liveness_probe http_get path": "containers ingress livenessProbe httpGet path",
    "containers ingress liveness_probe http_get port": "containers ingress livenessProbe httpGet port",
    "containers ingress ports container_port": "containers ingress ports containerPort",
    "containers ingress ports name": "containers ingress ports name",
    "containers server liveness_probe grpc port": "containers server livenessProbe grpc port",
} | {
    f"containers {name} {terraform}": f"containers {name} {manifest}"
    for name in ("ingress", "server")
    for terraform, manifest in {
        "args": "args",
        "liveness_probe failure_threshold": "livenessProbe failureThreshold",
        "liveness_probe period_seconds": "livenessProbe periodSeconds",
        "liveness_probe timeout_seconds": "livenessProbe timeoutSeconds",
        "name": "name",
        "resources limits cpu": "resources limits cpu",
        "resources limits memory": "resources limits memory",
        "startup_probe failure_threshold": "startupProbe failureThreshold",
        "startup_probe grpc port": "startupProbe grpc port",
        "startup_probe period_seconds": "startupProbe periodSeconds",
        "startup_probe timeout_seconds": "startupProbe timeoutSeconds",
    }.items()
}
# service.yaml sets this once, and Terraform for each container.
BOOST = "run.googleapis.com/startup-cpu-boost"
# Settings that cannot be compared, or that are the default of service.yaml.
ONLY_IN_TERRAFORM = {
    "containers ingress image": "${var.ingress_image}",
    "containers ingress resources cpu_idle": "true",
    "containers server image": "${var.image}",
    "containers server resources cpu_idle": "true",
    "deletion_protection": "true",
    "location": "${var.region}",
    "service_account": "${google_service_account.calculator.email}",
}
ONLY_IN_MANIFEST = {"apiVersion", "containers ingress image", "containers server image", "kind", "serviceAccountName"}
# A dynamic block belongs to an option that is off by default.
META_ARGUMENTS = {"count", "depends_on", "dynamic", "lifecycle"}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _name(path: tuple[str, ...]) -> str:
    return " ".join(key for key in path if key not in LEVELS)


def _settings(value: object, *path: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each setting, with its value as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _settings(inner, *path, key)
    elif isinstance(value, list) and path[-1] == "containers":
        for container in value:
            yield from _settings(container, *path, container["name"])
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        yield _name(path), _as_text(value)
    elif isinstance(value, list):
        [only] = value
        yield from _settings(only, *path)
    else:
        yield _name(path), _as_text(value)


def _of_terraform() -> dict[str, str]:
    """Return the settings of the service in Terraform, with the defaults of variables."""
    text = "".join(Path("deploy/terraform", name).read_text(encoding="utf-8") for name in ("main.tf", "variables.tf"))
    options = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True, explicit_blocks=False)
    document = hcl2.loads(text, serialization_options=options)
    variables = {f"${{var.{name}}}": var for block in document["variable"] for name, var in block.items()}
    defaults = {name: _as_text(var["default"]) for name, var in variables.items() if var.get("default") is not None}
    [service] = [block for block in document["resource"] if "google_cloud_run_v2_service" in block]
    body = service["google_cloud_run_v2_service"]["calculator"]
    settings = _settings({name: value for name, value in body.items() if name not in META_ARGUMENTS})
    return {name: defaults.get(value, value) for name, value in settings}


def _of_manifest() -> dict[str, str]:
    """Return the settings of service.yaml, as a dry run with default flags prints it."""
    printed = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8")
    return dict(_settings(yaml.safe_load(printed.partition("service.yaml:\n")[2])))


def _as_in_terraform(name: str, value: str) -> str:
    """Return a value of service.yaml in Terraform's notation."""
    match name:
        case "ingress":
            return f"INGRESS_TRAFFIC_{value.upper()}"
        case "timeout":
            return f"{value}s"
        case "traffic type":
            return {"true": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}[value]
    return value


def test_every_setting_has_the_same_value() -> None:
    manifest = _of_manifest()
    expected = ONLY_IN_TERRAFORM | {name: _as_in_terraform(name, manifest[same]) for name, same in SAME.items()}
    for name in ("ingress", "server"):
        expected[f"containers {name} resources startup_cpu_boost"] = manifest[BOOST]
    assert _of_terraform() == expected


def test_service_yaml_sets_nothing_that_terraform_does_not() -> None:
    assert _of_manifest().keys() == {*SAME.values(), BOOST, *ONLY_IN_MANIFEST}
