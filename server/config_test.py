"""The sources of the configuration, and the values that it rejects."""

import pytest

from server import config


def test_the_default_port_is_that_of_the_tutorial() -> None:
    assert config.read([], {}).port == 50051


def test_the_port_is_read_from_the_environment() -> None:
    assert config.read([], {"PORT": "8080"}).port == 8080


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port=0"]])
def test_a_flag_takes_precedence_over_the_environment(arguments: list[str]) -> None:
    assert config.read(arguments, {"PORT": "8080"}).port == 0


@pytest.mark.parametrize("value", ["", "http", "-1", "65536", "80.0", "8_0", " 80", "٨٠", "0x50", "1" * 5000])
def test_an_invalid_port_is_rejected_with_setting_value_and_range(value: str) -> None:
    for setting, arguments, environment in (("PORT", [], {"PORT": value}), ("--port", [f"--port={value}"], {})):
        with pytest.raises(config.ConfigError) as refused:
            config.read(arguments, environment)
        assert str(refused.value) == f"{setting}={value!r}: must be 0-65535, where 0 means any free port"


@pytest.mark.parametrize("value", ["0", "1", "080", "65535"])
def test_ports_from_0_to_65535_are_accepted(value: str) -> None:
    assert config.read([], {"PORT": value}).port == int(value)


@pytest.mark.parametrize(
    ("flag", "accepted", "refused"),
    [
        ("max-concurrent-calls", ["1", "2147483647"], ["0", "-1", "1.5", "2147483648", "many"]),
        ("max-message-bytes", ["1", "4194304"], ["0", "4M", ""]),
        ("shutdown-grace", ["0.5", "9", "86400"], ["0", "-1", "86401", "nan", "inf", "1e3", "soon"]),
        ("max-connection-age", ["1"], ["0"]),
        ("max-connection-age-grace", ["1"], ["0"]),
        ("log-format", ["text", "json"], ["xml", ""]),
    ],
)
def test_flags_reject_values_outside_their_range(flag: str, accepted: list[str], refused: list[str]) -> None:
    for value in accepted:
        setting = getattr(config.read([f"--{flag}={value}"], {}), flag.replace("-", "_"))
        assert setting == value or setting == float(value)
    for value in refused:
        with pytest.raises(config.ConfigError, match=f"--{flag}={value!r}"):
            config.read([f"--{flag}={value}"], {})


def test_hosts_are_read_in_order_and_default_to_all_interfaces() -> None:
    assert config.read([], {}).hosts == ("::",)
    assert config.read(["--host=localhost", "--host", "::1"], {}).hosts == ("localhost", "::1")


def test_all_ipv4_interfaces_are_refused_for_grpcio_which_would_add_ipv6() -> None:
    hosts = ["--host=127.0.0.1", "--host=0.0.0.0"]
    assert config.read(hosts, {}).hosts == ("127.0.0.1", "0.0.0.0")
    for spelling in ("0.0.0.0", "0", "::ffff:0.0.0.0"):
        with pytest.raises(config.ConfigError, match=rf"^--host={spelling} requires --engine=nggrpc: "):
            config.read(["--host=127.0.0.1", f"--host={spelling}", "--engine=stock"], {})


IDENTITY = ["--require-identity-token", "--allowed-audience=https://a", "--allowed-caller=a@example.com"]


def test_identity_flags_are_read_into_identity_rules() -> None:
    assert config.read([], {}).identity is None
    more = ["--allowed-audience=https://b", "--allowed-caller=b@example.com", "--exempt=health", "--exempt=reflection"]
    keys, issuer = "http://localhost:80/keys", "https://issuer.example.com"
    read = config.read([*IDENTITY, *more, f"--identity-keys={keys}", f"--identity-issuer={issuer}"], {})
    assert read.identity == config.IdentityRules(
        audiences=("https://a", "https://b"),
        callers=("a@example.com", "b@example.com"),
        keys=keys,
        issuers=(issuer,),
        exempt=("health", "reflection"),
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (IDENTITY[:1], "--require-identity-token requires --allowed-audience"),
        (IDENTITY[:2], "--require-identity-token requires --allowed-caller"),
        (IDENTITY[1:], "--allowed-audience requires --require-identity-token"),
        (["--exempt=health"], "--exempt requires --require-identity-token"),
        ([*IDENTITY, "--exempt=all"], "--exempt='all': must be 'health' or 'reflection'"),
        ([*IDENTITY, "--allowed-audience= "], "--allowed-audience=' ': must not be empty"),
        ([*IDENTITY, "--allowed-caller=user:a@example.com"], "must be an e-mail address"),
        ([*IDENTITY, "--allowed-caller=me"], "--allowed-caller='me': must be an e-mail address"),
        (
            [*IDENTITY, "--identity-keys=http://example.com/keys"],
            "must be an https:// URL, or an http:// URL of localhost",
        ),
        ([*IDENTITY, "--identity-keys=http://localhost.example.com"], "must be an https:// URL"),
        ([*IDENTITY, "--identity-keys=file:///keys"], "must be an https:// URL"),
        ([*IDENTITY, "--identity-keys=https://[x"], "must be an https:// URL"),
        ([*IDENTITY, "--identity-keys=https://x:99999/"], "must be an https:// URL"),
        ([*IDENTITY, "--identity-keys=https:///keys"], "must be an https:// URL"),
    ],
)
def test_incomplete_or_invalid_identity_flags_are_rejected(arguments: list[str], complaint: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.read(arguments, {})
    assert complaint in str(refused.value)


def test_the_log_is_json_on_cloud_run_unless_a_flag_overrides_it() -> None:
    on_cloud_run = {"K_SERVICE": "calculator"}
    assert config.read([], {}).log_format == "text"
    assert config.read([], on_cloud_run).log_format == "json"
    assert config.read(["--log-format=text"], on_cloud_run).log_format == "text"


def test_an_unknown_flag_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        config.read(["--prot", "1"], {})
    assert refused.value.code == 2
    assert "--prot" in capsys.readouterr().err


OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
SIGNAL_PROTOCOLS = {f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL": "grpc" for signal in ("TRACES", "METRICS")}


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({}, False, False),
        ({OTLP: ""}, False, False),
        ({OTLP: "http://collector:4317"}, True, True),
        ({OTLP: "http://collector:4317", "OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({OTLP: "http://collector:4317", "OTEL_SDK_DISABLED": "TRUE"}, False, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4317"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True, False),
        ({OTLP: "http://collector:4317", PROTOCOL: "http/protobuf", "OTEL_SDK_DISABLED": "true"}, False, False),
        ({PROTOCOL: "http/protobuf", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, False, False),
        ({OTLP: "http://collector:4317", PROTOCOL: "http/protobuf", **SIGNAL_PROTOCOLS}, True, True),
    ],
)
def test_standard_variables_enable_the_export_of_traces_and_metrics(
    environment: dict[str, str], *, traces: bool, metrics: bool
) -> None:
    settings = config.read([], environment)
    assert (settings.traces, settings.metrics) == (traces, metrics)
