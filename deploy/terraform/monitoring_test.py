"""Tests that the alerts fire when they should, and that the dashboard and the alerts use only data that exists."""

import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import calculator_pb2 as tutorial_pb2
import grpc
import hcl2
import pytest
from calculator.v1 import calculator_pb2
from routeguide import route_guide_pb2

from server.observability import access_log
from server.observability.call_record import CallRecord
from server.observability.telemetry import SERVER_ERRORS
from testing import discovery, documents, programs

FOLDER = Path("deploy/terraform")
DOCS = Path("docs")
OPTIONS = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True, explicit_blocks=False)
# Values of the variables that have no default.
REQUIRED = {"project": "my-project", "region": "europe-west1"}
# Labels that Cloud Monitoring adds to metrics of Cloud Run and of logs, and to metrics that were exported over OTLP.
REVISION = {"monitored_resource", "project_id", "service_name", "revision_name", "location", "configuration_name"}
TARGET = {"monitored_resource", "project_id", "location", "cluster", "namespace", "job", "instance"}
SUFFIXES = ("_bucket", "_count", "_sum")
# The expressions that the templates contain.
REFERENCE = re.compile(r"\$\{(var|local)\.(\w+)\}")
REPLACE = re.compile(r'\$\{replace\(var\.(\w+), "(.)", "(.)"\)\}')
TEMPLATEFILE = re.compile(r'\$\{templatefile\("\$\{path\.module\}/([\w.]+)", \{(.*)\}\)\}', re.DOTALL)
EXTRACT = re.compile(r"EXTRACT\(jsonPayload\.(\w+)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")


def _document(*names: str) -> dict[str, Any]:
    text = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
    document: dict[str, Any] = hcl2.loads(text, serialization_options=OPTIONS)
    return document


CONFIGURATION = _document("monitoring.tf", "variables.tf")
VARIABLES = {name: body for block in CONFIGURATION["variable"] for name, body in block.items()}
RESOURCES = {
    (type_, name): body for each in CONFIGURATION["resource"] for type_, b in each.items() for name, body in b.items()
}


def _rendered(text: str) -> str:
    """Return a template as Terraform renders it with the defaults of the variables."""
    if heredoc := re.fullmatch(r"<<-(\w+)\n(.*?)\n\s*\1", text, re.DOTALL):
        text = textwrap.dedent(heredoc[2])
    text = REPLACE.sub(lambda call: _value("var", call[1]).replace(call[2], call[3]), text)
    text = REFERENCE.sub(lambda reference: _value(reference[1], reference[2]), text)
    assert "${" not in text
    return text


def _value(kind: str, name: str) -> str:
    if kind == "local":
        return _rendered(CONFIGURATION["locals"][0][name])
    return str(REQUIRED.get(name, VARIABLES[name].get("default")))


def _resource(type_: str) -> dict[str, Any]:
    bodies: list[dict[str, Any]] = [body for (each, _), body in RESOURCES.items() if each == type_]
    [body] = bodies
    return body


def _dashboard() -> dict[str, Any]:
    call = TEMPLATEFILE.fullmatch(_resource("google_monitoring_dashboard")["dashboard_json"])
    assert call
    values = {name: _value(kind, of) for name, kind, of in re.findall(r"(\w+)\s*= (\w+)\.(\w+)", call[2])}
    text = (FOLDER / call[1]).read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)\}", text)) == values.keys()
    dashboard: dict[str, Any] = json.loads(re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], text))
    return dashboard


def _charts() -> Iterator[tuple[str, str]]:
    """Yield the title of each chart with each of its queries."""
    for tile in _dashboard()["mosaicLayout"]["tiles"]:
        for data in tile["widget"]["xyChart"]["dataSets"]:
            yield tile["widget"]["title"], data["timeSeriesQuery"]["prometheusQuery"]


def _conditions() -> Iterator[tuple[str, int, str]]:
    """Yield the name of each alert policy with the position and the query of each of its conditions."""
    for (type_, name), body in RESOURCES.items():
        if type_ == "google_monitoring_alert_policy":
            for position, condition in enumerate(body["conditions"]):
                [language] = condition["condition_prometheus_query_language"]
                yield name, position, _rendered(language["query"])


QUERIES = [query for *_, query in [*_charts(), *_conditions()]]


def _documented(heading: str) -> Iterator[tuple[str, str, set[str]]]:
    """Yield the name, the type and the labels of each metric in a table of the documentation."""
    for name, type_, labels in documents.table((DOCS / "reference/telemetry.md").read_text(encoding="utf-8"), heading):
        yield name.strip("`"), type_, set(re.findall("`([^`]+)`", labels))


def _in_promql(name: str) -> str:
    """Return the name of a metric in PromQL: https://cloud.google.com/monitoring/promql/promql-mapping."""
    domain, _, path = name.partition("/")
    return re.sub(r"\W", "_", domain) + ":" + re.sub(r"\W", "_", path)


def _known() -> dict[str, set[str]]:
    """Return the labels of each metric that exists, by its names in PromQL."""
    known: dict[str, set[str]] = {}
    for name, type_, labels in _documented("Metrics of Cloud Run"):
        suffixes = SUFFIXES if type_.startswith("distribution") else ("",)
        known |= {_in_promql(name) + suffix: labels | REVISION for suffix in suffixes}
    for name, _, attributes in _documented("Metrics"):
        labels = {attribute.replace(".", "_") for attribute in attributes}
        known |= {f"{name.replace('.', '_')}_seconds{suffix}": labels | TARGET for suffix in SUFFIXES}
    log = _resource("google_logging_metric")
    name = _in_promql(f"logging.googleapis.com/user/{_rendered(log['name'])}")
    return known | {name + suffix: {*log["label_extractors"]} | REVISION for suffix in SUFFIXES}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_uses_only_metrics_and_labels_that_exist(query: str) -> None:
    known = _known()
    selectors = SELECTOR.findall(query)
    assert len(selectors) == len(re.findall(r"\w\{", query)) > 0
    assert {name for name, _ in selectors} <= known.keys()
    grouped = {label for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in labels.split(", ")} - {"le"}
    for name, matchers in selectors:
        assert set(re.findall(r"(\w+)(?:=|!=|=~|!~)'", matchers)) | grouped <= known[name], name


def test_the_dashboard_matches_googles_description_of_the_api() -> None:
    types = json.loads(Path(os.environ["MONITORING_API"]).read_text(encoding="utf-8"))["schemas"]
    dashboard = _dashboard()
    assert discovery.errors(types, "Dashboard", dashboard) == []
    dashboard["mosaicLayout"]["tiles"][0]["widget"]["xyChart"]["dataSets"][0]["plotTyp"] = "LINE"
    assert "'plotTyp' was unexpected" in str(discovery.errors(types, "Dashboard", dashboard))


def test_the_charts_do_not_overlap() -> None:
    tiles = _dashboard()["mosaicLayout"]["tiles"]
    cells = [
        (x, y)
        for tile in tiles
        for x in range(tile["xPos"], tile["xPos"] + tile["width"])
        for y in range(tile["yPos"], tile["yPos"] + tile["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < _dashboard()["mosaicLayout"]["columns"]


def test_monitoring_is_off_by_default() -> None:
    assert VARIABLES["monitoring"]["default"] is False
    assert {body["count"] for body in RESOURCES.values()} == {"${var.monitoring ? 1 : 0}"}


def test_the_log_based_metric_reads_fields_of_the_access_log() -> None:
    record = CallRecord("/a.B/C", grpc.StatusCode.INTERNAL, 0.5, 1, 1, "ipv4:127.0.0.1:1")
    line = json.loads(access_log.json_line("", record))
    metric = _resource("google_logging_metric")
    [value] = EXTRACT.findall(metric["value_extractor"])
    assert line[value] == 500
    labels = {name: line[EXTRACT.findall(path)[0]] for name, path in metric["label_extractors"].items()}
    assert labels == {"method": "/a.B/C", "status": "INTERNAL"}
    assert set(re.findall(r"jsonPayload\.(\w+)", metric["filter"])) == {"duration_ms", "method"} <= line.keys()
    [descriptor] = metric["metric_descriptor"]
    assert {label["key"] for label in descriptor["labels"]} == labels.keys()


def test_the_errors_in_the_access_log_are_those_that_opentelemetry_counts() -> None:
    assert set(_value("local", "server_errors").split("|")) == {code.name for code in SERVER_ERRORS}


def test_the_log_based_metric_has_the_methods_of_the_api_and_no_names_that_callers_invent() -> None:
    for file in (calculator_pb2.DESCRIPTOR, route_guide_pb2.DESCRIPTOR, tutorial_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            for method in service.methods:
                assert re.fullmatch(_value("local", "methods"), f"/{service.full_name}/{method.name}")
    for invented in (
        "/calculator.v1.Calculator/Evil",
        "/a/b",
        "/grpc.health.v1.Health/Check",
        "/x/Calculator/Calculate",
    ):
        assert not re.fullmatch(_value("local", "methods"), invented)
    assert 'jsonPayload.method=~"^(${local.methods})$"' in _resource("google_logging_metric")["filter"]


def test_only_unary_methods_have_an_alert_for_their_duration() -> None:
    for file in (calculator_pb2.DESCRIPTOR, route_guide_pb2.DESCRIPTOR, tutorial_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            for method in service.methods:
                is_unary = not (method.client_streaming or method.server_streaming)
                path = f"/{service.full_name}/{method.name}"
                assert bool(re.fullmatch(_value("local", "unary_methods"), path)) == is_unary, path


def test_the_documentation_of_each_alert_links_to_headings_of_the_guides() -> None:
    for (type_, name), body in RESOURCES.items():
        if type_ != "google_monitoring_alert_policy":
            continue
        [documentation] = body["documentation"]
        content = _rendered(documentation["content"])
        assert len(content.encode()) <= 8192
        links = re.findall(r"docs/(\S+\.md)(?:#([\w-]+))?", content)
        assert links, name
        for path, anchor in links:
            headings = re.findall(r"^#+ (.*)$", (DOCS / path).read_text(encoding="utf-8"), re.MULTILINE)
            assert not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings]


OURS = {"monitored_resource": "cloud_run_revision", "service_name": "calculator", "location": "europe-west1"}
OTHERS = OURS | {"service_name": "abacus"}
REQUESTS = "run_googleapis_com:request_count"
LOG = "logging_googleapis_com:user_calculator_calls"
OTLP = "rpc_server_call_duration_seconds"
# One method in the access log, and as exported over OTLP.
LOGGED = OURS | {"method": "/calculator.v1.Calculator/Calculate"}
HEALTH = {"rpc_method": "grpc.health.v1.Health/Check"}
EXPORTED = {"job": "calculator", "location": "europe-west1", "rpc_method": "calculator.v1.Calculator/Calculate"}

Series = tuple[str, Mapping[str, str], float]


def _calls(ok: float, **failed: float) -> list[Series]:
    """Return the numbers of calls per minute, by status, in the access log."""
    return [(f"{LOG}_count", LOGGED | {"status": status}, count) for status, count in {"OK": ok, **failed}.items()]


def _exported(ok: float, **failed: float) -> list[Series]:
    """Return the numbers of calls per minute, by status, as exported over OTLP."""
    server_errors = {code.name for code in SERVER_ERRORS}
    series: list[Series] = []
    for status, per_minute in {"OK": ok, **failed}.items():
        labels = EXPORTED | {"rpc_response_status_code": status}
        series.append(
            (f"{OTLP}_count", labels | {"error_type": status} if status in server_errors else labels, per_minute)
        )
    return series


def _requests(labels: Mapping[str, str], **classes: float) -> list[Series]:
    return [(REQUESTS, {**labels, "response_code_class": name.strip("_")}, count) for name, count in classes.items()]


def _durations(
    metric: str, labels: Mapping[str, str], bounds: tuple[str, str], fast: float, slow: float
) -> list[Series]:
    """Return a histogram of calls per minute below the first bound, and between the two."""
    buckets = {bounds[0]: fast, bounds[1]: fast + slow, "+Inf": fast + slow}
    counts: list[Series] = [(f"{metric}_bucket", {**labels, "le": bound}, count) for bound, count in buckets.items()]
    return [*counts, (f"{metric}_count", labels, fast + slow)]


CONVERSE = "calculator.v1.Calculator/Converse"  # a stream
MS, SECONDS = ("500", "1000"), ("0.5", "1")


def _fired(folder: Path, expressions: Mapping[str, str], series: list[Series]) -> set[str]:
    """Return the names of the alerts that promtool sees fire after 15 minutes with constant numbers per minute."""
    rules = [{"alert": name, "expr": expression, "for": "1m"} for name, expression in expressions.items()]
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"{name}{{{_matchers(labels)}}}", "values": f"0+{per_minute}x30"}
            for name, labels, per_minute in series
        ],
        "alert_rule_test": [{"eval_time": "15m", "alertname": name, "exp_alerts": []} for name in expressions],
    }
    files = {
        "rules.json": {"groups": [{"name": "all", "rules": rules}]},
        "tests.json": {"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": [test]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    done = programs.run([Path(os.environ["PROMTOOL"]).absolute(), "test", "rules", "tests.json"], folder)
    # promtool reports each alert that fires as an error, since no alert is expected.
    fired = set(re.findall(r"alertname: (\w+), time: 15m", done.stdout + done.stderr))
    assert done.returncode == bool(fired), done.stdout + done.stderr
    return fired


def _matchers(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items())


def _alerts() -> dict[str, str]:
    """Return the conditions of all alert policies, named by the policy and the position of the condition."""
    return {f"{policy}_{position}": query for policy, position, query in _conditions()}


@pytest.mark.parametrize(
    ("series", "fired"),
    [
        ([], set()),
        (_requests(OURS, _2xx=94, _5xx=6), {"error_ratio_0"}),
        (_requests(OURS, _2xx=96, _5xx=4), set()),
        (_requests(OURS, _2xx=50, _4xx=50), set()),
        (_requests(OURS, _2xx=1, _5xx=1), set()),  # 10 requests in 5 minutes
        (_requests(OURS, _2xx=100) + _requests(OTHERS, _5xx=100), set()),
        (_calls(94, INTERNAL=3, UNAVAILABLE=3), {"error_ratio_1"}),
        (_calls(96, INTERNAL=4), set()),
        (_calls(50, INVALID_ARGUMENT=50), set()),
        (_calls(1, INTERNAL=1), set()),
        (_exported(94, INTERNAL=3, UNAVAILABLE=3), {"error_ratio_1"}),
        (_exported(96, INTERNAL=4), set()),
        (_exported(50, INVALID_ARGUMENT=50), set()),
        (_exported(1, INTERNAL=1), set()),
        (_calls(90, INTERNAL=10) + _exported(90, INTERNAL=10), {"error_ratio_1"}),
        ([(f"{OTLP}_count", EXPORTED | {"location": "us-east1", "error_type": "INTERNAL"}, 100)], set()),
        ([(f"{OTLP}_count", EXPORTED | {"rpc_method": "_OTHER", "error_type": "UNIMPLEMENTED"}, 100)], set()),
        (
            [
                (
                    f"{OTLP}_count",
                    EXPORTED | {"rpc_method": "grpc.health.v1.Health/Check", "error_type": "INTERNAL"},
                    100,
                )
            ],
            set(),
        ),
        (_durations(LOG, LOGGED, MS, 98, 2), {"latency_0"}),
        (_durations(LOG, LOGGED, MS, 99.5, 0.5), set()),
        (_durations(LOG, LOGGED, MS, 1, 1), set()),
        (_durations(LOG, LOGGED | {"method": f"/{CONVERSE}"}, MS, 0, 100), set()),
        (_durations(LOG, LOGGED | {"service_name": "abacus"}, MS, 0, 100), set()),
        (_durations(OTLP, EXPORTED, SECONDS, 98, 2), {"latency_0"}),
        (_durations(OTLP, EXPORTED, SECONDS, 99.5, 0.5), set()),
        (_durations(OTLP, EXPORTED, SECONDS, 1, 1), set()),
        (_durations(OTLP, EXPORTED | {"rpc_method": CONVERSE}, SECONDS, 0, 100), set()),
    ],
)
def test_an_alert_fires_exactly_if_the_server_is_at_fault_often_enough(
    series: list[Series], fired: set[str], tmp_path: Path
) -> None:
    assert _fired(tmp_path, _alerts(), series) == fired


def test_every_chart_shows_something(tmp_path: Path) -> None:
    series = [
        *_requests(OURS, _2xx=94, _5xx=6),
        *_durations("run_googleapis_com:request_latencies", OURS, MS, 98, 2),
        *_durations("run_googleapis_com:container_cpu_utilizations", OURS, SECONDS, 98, 2),
        *_durations("run_googleapis_com:container_memory_utilizations", OURS, SECONDS, 98, 2),
        ("run_googleapis_com:container_instance_count", OURS | {"state": "active"}, 0.0),
        *_durations(LOG, LOGGED | {"status": "OK"}, MS, 98, 2),
        *_durations(OTLP, EXPORTED | {"rpc_response_status_code": "OK"}, SECONDS, 98, 2),
    ]
    charts = {f"chart_{i}": f"count({query}) > 0" for i, (_, query) in enumerate(_charts())}
    assert _fired(tmp_path, charts, series) == charts.keys()
