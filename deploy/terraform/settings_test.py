"""Terraform sets the service as service.yaml does, and neither sets what the other does not."""

import json
from collections.abc import Iterator
from pathlib import Path

import hcl2
import yaml

# Levels that only group.
LEVELS = {"annotations", "metadata", "spec", "template"}
# The name of each setting here, and there.
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
    f"containers {name} {here}": f"containers {name} {there}"
    for name in ("ingress", "server")
    for here, there in {
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
# Said of the whole there, and of each container here.
BOOST = "run.googleapis.com/startup-cpu-boost"
# What cannot be compared, or is there by default.
ONLY_HERE = {
    "containers ingress image": "${var.ingress_image}",
    "containers ingress resources cpu_idle": "true",
    "containers server image": "${var.image}",
    "containers server resources cpu_idle": "true",
    "deletion_protection": "true",
    "location": "${var.region}",
    "service_account": "${google_service_account.calculator.email}",
}
ONLY_THERE = {"apiVersion", "containers ingress image", "containers server image", "kind", "serviceAccountName"}
OF_THE_LANGUAGE = {"count", "depends_on", "lifecycle"}


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


def _here() -> dict[str, str]:
    """Return the settings of Terraform's service, with the defaults of variables."""
    text = "".join(Path("deploy/terraform", name).read_text(encoding="utf-8") for name in ("main.tf", "variables.tf"))
    options = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True, explicit_blocks=False)
    document = hcl2.loads(text, serialization_options=options)
    variables = {f"${{var.{name}}}": var for block in document["variable"] for name, var in block.items()}
    defaults = {name: _as_text(var["default"]) for name, var in variables.items() if var.get("default") is not None}
    [service] = [block for block in document["resource"] if "google_cloud_run_v2_service" in block]
    body = service["google_cloud_run_v2_service"]["calculator"]
    settings = _settings({name: value for name, value in body.items() if name not in OF_THE_LANGUAGE})
    return {name: defaults.get(value, value) for name, value in settings}


def _there() -> dict[str, str]:
    """Return the settings of service.yaml, as a dry run prints it with nothing but defaults."""
    printed = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8")
    return dict(_settings(yaml.safe_load(printed.partition("service.yaml:\n")[2])))


def _as_here(name: str, value: str) -> str:
    """Return a value of service.yaml as Terraform writes it."""
    match name:
        case "ingress":
            return f"INGRESS_TRAFFIC_{value.upper()}"
        case "timeout":
            return f"{value}s"
        case "traffic type":
            return {"true": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}[value]
    return value


def test_every_setting_has_the_same_value() -> None:
    there = _there()
    expected = ONLY_HERE | {here: _as_here(here, there[name]) for here, name in SAME.items()}
    for name in ("ingress", "server"):
        expected[f"containers {name} resources startup_cpu_boost"] = there[BOOST]
    assert _here() == expected


def test_service_yaml_sets_nothing_that_terraform_does_not() -> None:
    assert _there().keys() == {*SAME.values(), BOOST, *ONLY_THERE}
