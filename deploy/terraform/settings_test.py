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
    "containers liveness_probe failure_threshold": "containers livenessProbe failureThreshold",
    "containers liveness_probe grpc port": "containers livenessProbe grpc port",
    "containers liveness_probe period_seconds": "containers livenessProbe periodSeconds",
    "containers liveness_probe timeout_seconds": "containers livenessProbe timeoutSeconds",
    "containers ports container_port": "containers ports containerPort",
    "containers ports name": "containers ports name",
    "containers resources limits cpu": "containers resources limits cpu",
    "containers resources limits memory": "containers resources limits memory",
    "containers resources startup_cpu_boost": "run.googleapis.com/startup-cpu-boost",
    "containers startup_probe failure_threshold": "containers startupProbe failureThreshold",
    "containers startup_probe grpc port": "containers startupProbe grpc port",
    "containers startup_probe period_seconds": "containers startupProbe periodSeconds",
    "containers startup_probe timeout_seconds": "containers startupProbe timeoutSeconds",
    "ingress": "run.googleapis.com/ingress",
    "max_instance_request_concurrency": "containerConcurrency",
    "name": "name",
    "scaling max_instance_count": "autoscaling.knative.dev/maxScale",
    "scaling min_instance_count": "autoscaling.knative.dev/minScale",
    "timeout": "timeoutSeconds",
    "traffic percent": "traffic percent",
    "traffic type": "traffic latestRevision",
}
# What cannot be compared, or is there by default.
ONLY_HERE = {
    "containers image": "${var.image}",
    "containers resources cpu_idle": "true",
    "deletion_protection": "true",
    "location": "${var.region}",
    "service_account": "${google_service_account.calculator.email}",
}
ONLY_THERE = {"apiVersion", "containers image", "kind", "serviceAccountName"}
OF_THE_LANGUAGE = {"count", "depends_on", "lifecycle"}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _settings(value: object, *path: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each setting, with its value as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _settings(inner, *path, key)
    elif isinstance(value, list):
        [only] = value
        yield from _settings(only, *path)
    else:
        yield " ".join(key for key in path if key not in LEVELS), _as_text(value)


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
    assert _here() == ONLY_HERE | {here: _as_here(here, there[name]) for here, name in SAME.items()}


def test_service_yaml_sets_nothing_that_terraform_does_not() -> None:
    assert _there().keys() == {*SAME.values(), *ONLY_THERE}
