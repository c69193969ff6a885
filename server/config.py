"""The server's configuration: what the platform sets in the environment, what a person sets by flags."""

import argparse
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from server.observability import logs
from server.process import cgroup

DEFAULT_PORT = 50051
Engine: TypeAlias = Literal["nggrpc", "stock"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

_HIGHEST_PORT = 65535
_MOST_WORKERS = 256
_HIGHEST_COUNT = 2**31 - 1
_SHORTEST_SECONDS = 0.001
_LONGEST_SECONDS = 24 * 3600

Exemption: TypeAlias = Literal["health", "reflection"]
EXEMPTIONS: dict[Exemption, str] = {"health": "/grpc.health.", "reflection": "/grpc.reflection."}
"""What may be called without an identity token, if that is asked for, and what its methods begin with."""


class ConfigError(ValueError):
    """A setting has a value that is not accepted; the message names the setting, the value and what is accepted."""


@dataclass(frozen=True)
class IdentityRules:
    """Whose calls are answered, where the server itself checks who calls.

    Attributes:
        audiences: whom identity tokens may be for: the service's URLs.
        callers: whose they may be: e-mail addresses.
        keys: the URL of the keys that they are signed with, as a JSON Web Key Set.
        issuers: who issues them, as they call themselves.
        exempt: what may be called without: "health", "reflection".
    """

    audiences: tuple[str, ...]
    callers: tuple[str, ...]
    keys: str = "https://www.googleapis.com/oauth2/v3/certs"
    issuers: tuple[str, ...] = ("https://accounts.google.com", "accounts.google.com")
    exempt: tuple[Exemption, ...] = ()


@dataclass(frozen=True)
class Config:
    """Everything the server can be told.

    Attributes:
        port: the TCP port to listen on, 0 to 65535; 0 lets the system choose a free one.
        log_format: "text" for people, "json" for Cloud Run.
        shutdown_delay: seconds that calls are still taken after a signal to stop, for their senders to hear of it.
        shutdown_grace: seconds that calls in flight have to finish then.
        max_message_bytes: the largest message that is received.
        max_concurrent_calls: how many calls may be in flight; one more is refused.
        max_connection_age: seconds after which a client is asked to connect anew, so that load reaches new instances.
        max_connection_age_grace: seconds that the calls of such a connection have to finish.
        max_deadline: how long a call may take, in seconds.
        min_ping_interval: how often a client may ping to keep a connection alive, in seconds.
        keepalive_time: seconds without a byte from a client after which the server pings it.
        access_log: whether each call is a line in the log.
        channelz: whether the server tells of its own connections.
        engine: what speaks gRPC: "nggrpc", or "stock" for grpcio's own server.
        workers: how many processes serve, 1 to 256.
        identity: whose calls are answered; everybody's, if that is not for the server to check.
        service: the name of this service, in traces and metrics.
        project: the Google Cloud project that the traces in the log belong to; empty if unknown.
        traces: whether to send traces by OTLP.
        metrics: whether to send metrics by OTLP.
    """

    port: int = DEFAULT_PORT
    log_format: logs.Format = "text"
    shutdown_delay: float = 0
    shutdown_grace: float = 9
    max_message_bytes: int = 4 * 1024 * 1024
    max_concurrent_calls: int = 100
    max_connection_age: float = 600
    max_connection_age_grace: float = 3600
    max_deadline: float = 3600  # as long as Cloud Run lets any request take
    min_ping_interval: float = 5
    keepalive_time: float = 60
    access_log: bool = True
    channelz: bool = False
    engine: Engine = "nggrpc"
    workers: int = 1
    identity: IdentityRules | None = None
    service: str = "calculator"
    project: str = ""
    traces: bool = False
    metrics: bool = False


def _port(setting: str, value: str) -> int:
    # int alone would let signs, spaces, underscores and other scripts' digits through.
    if re.fullmatch("[0-9]{1,5}", value) and int(value) <= _HIGHEST_PORT:
        return int(value)
    raise ConfigError(f"{setting}={value!r} is not a port: accepted are 0 to 65535, where 0 is any free port")


def _count(setting: str, value: str) -> int:
    if re.fullmatch("[0-9]{1,10}", value) and 1 <= int(value) <= _HIGHEST_COUNT:
        return int(value)
    raise ConfigError(f"{setting}={value!r} is not accepted: whole numbers from 1 to {_HIGHEST_COUNT} are")


def _seconds(setting: str, value: str) -> float:
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", value) and _SHORTEST_SECONDS <= float(value) <= _LONGEST_SECONDS:
        return float(value)
    raise ConfigError(f"{setting}={value!r} is not accepted: {_SHORTEST_SECONDS} to {_LONGEST_SECONDS} seconds are")


def _delay(setting: str, value: str) -> float:
    return 0 if value == "0" else _seconds(setting, value)


def _listed(values: Sequence[str]) -> str:
    return f"{' and '.join(values)} {'is' if len(values) == 1 else 'are'}"


def _log_format(setting: str, value: str) -> logs.Format:
    for log_format in logs.FORMATS:
        if value == log_format:
            return log_format
    raise ConfigError(f"{setting}={value!r} is not accepted: {_listed(logs.FORMATS)}")


def _workers(setting: str, value: str) -> int:
    if value == "auto":
        return min(cgroup.cpu_limit(), _MOST_WORKERS)
    if re.fullmatch("[0-9]{1,3}", value) and 1 <= int(value) <= _MOST_WORKERS:
        return int(value)
    raise ConfigError(f"{setting}={value!r} is not accepted: 1 to {_MOST_WORKERS} are, and auto")


def _engine(setting: str, value: str) -> Engine:
    for engine in ENGINES:
        if value == engine:
            return engine
    raise ConfigError(f"{setting}={value!r} is not accepted: {_listed(ENGINES)}")


_FLAGS: dict[str, tuple[Callable[[str, str], object], str, str]] = {
    "port": (_port, "PORT", f"TCP port to listen on, 0 for any free one [default: $PORT, else {DEFAULT_PORT}]"),
    "log_format": (_log_format, "FORMAT", "text or json [default: json on Cloud Run, else text]"),
    "shutdown_delay": (_delay, "SECONDS", "time that calls are still taken when the server is told to stop"),
    "shutdown_grace": (_seconds, "SECONDS", "time that calls in flight have to finish then"),
    "max_message_bytes": (_count, "BYTES", "the largest message that is received"),
    "max_concurrent_calls": (_count, "CALLS", "how many calls may be in flight; one more is refused"),
    "max_connection_age": (
        _seconds,
        "SECONDS",
        "age at which a client is asked to connect anew",
    ),
    "max_connection_age_grace": (_seconds, "SECONDS", "time that the calls of such a connection have to finish"),
    "max_deadline": (_seconds, "SECONDS", "how long a call may take, whatever deadline its client gave it"),
    "engine": (_engine, "ENGINE", "what speaks gRPC: nggrpc, or stock for grpcio's own server"),
    "workers": (_workers, "COUNT", "processes that share the port; auto: as many as there are CPUs for this container"),
    "min_ping_interval": (_seconds, "SECONDS", "time between two pings; a client that sends more is told to go away"),
    "keepalive_time": (_seconds, "SECONDS", "time without a byte from a client after which the server pings it"),
}


def _url(setting: str, value: str) -> str:
    # Whoever can change the keys on their way here can sign as anybody.
    with contextlib.suppress(ValueError):  # an address of IPv6 that is none, a port that is none
        url = urlsplit(value)
        host, _ = url.hostname, url.port
        if (url.scheme == "https" and host) or (url.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")):
            return value
    raise ConfigError(f"{setting}={value!r} is not accepted: an https:// URL is, or an http:// one of this machine")


def _email(setting: str, value: str) -> str:
    if re.fullmatch(r"[^\s@:]+@[^\s@:]+", value):  # without IAM's "user:"
        return value
    raise ConfigError(f"{setting}={value!r} is not accepted: an e-mail address is")


def _text(setting: str, value: str) -> str:
    if value.strip():
        return value
    raise ConfigError(f"{setting} is empty")


def _exemption(setting: str, value: str) -> Exemption:
    for exemption in EXEMPTIONS:
        if value == exemption:
            return exemption
    raise ConfigError(f"{setting}={value!r} is not accepted: {_listed(tuple(EXEMPTIONS))}")


# What of IdentityRules each flag gives. Those that may be repeated give as many values as they are given.
_IDENTITY_FLAGS: dict[str, tuple[str, Callable[[str, str], str], str, str]] = {
    "audiences": ("--allowed-audience", _text, "URL", "whom tokens may be for: the service's URL; repeatable"),
    "callers": ("--allowed-caller", _email, "EMAIL", "whose tokens they may be; repeatable"),
    "exempt": ("--exempt", _exemption, "WHAT", "health or reflection: may be called without a token; repeatable"),
    "keys": ("--identity-keys", _url, "URL", f"the keys that tokens are signed with [default: {IdentityRules.keys}]"),
    "issuers": (
        "--identity-issuer",
        _text,
        "NAME",
        f"who issues them; repeatable [default: {IdentityRules.issuers[0]}]",
    ),
}
_REPEATABLE = ("audiences", "callers", "exempt", "issuers")


def _identity(flags: Mapping[str, Any]) -> IdentityRules | None:
    given = {name: flags[name] for name in _IDENTITY_FLAGS if flags[name]}
    if not flags["require_identity_token"]:
        for name in given:
            raise ConfigError(f"{_IDENTITY_FLAGS[name][0]} means nothing without --require-identity-token")
        return None
    for name in ("audiences", "callers"):
        if name not in given:
            raise ConfigError(f"--require-identity-token needs {_IDENTITY_FLAGS[name][0]}, or anybody's token would do")
    settings: dict[str, Any] = {}
    for name, values in given.items():
        flag, parse, _, _ = _IDENTITY_FLAGS[name]
        parsed = tuple(parse(flag, value) for value in values)
        settings[name] = parsed if name in _REPEATABLE else parsed[-1]
    return IdentityRules(**settings)


def _sends(signal: str, environment: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry's variables ask for a signal, TRACES or METRICS, to be sent by OTLP.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """

    def one_of(accepted: Sequence[str], *names: str) -> str:
        name = next((name for name in names if environment.get(name)), None)
        if name is None:
            return ""
        if environment[name] not in accepted:
            raise ConfigError(f"{name}={environment[name]!r} is not accepted: {_listed(accepted)}")
        return environment[name]

    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    exporter = one_of(("otlp", "none"), f"OTEL_{signal}_EXPORTER")
    sends = exporter == "otlp" or (not exporter and any(environment.get(name) for name in endpoints))
    if sends:
        one_of(("grpc",), f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return sends


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="server",
        description="Serves the calculator by gRPC, in plaintext: on Cloud Run, TLS is the platform's.",
        allow_abbrev=False,
    )
    for name, (_, metavar, text) in _FLAGS.items():
        default = "" if "[default" in text else f" [default: {getattr(Config, name)}]"
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=text + default)
    for name, (flag, _, metavar, text) in _IDENTITY_FLAGS.items():
        parser.add_argument(flag, dest=name, action="append", metavar=metavar, help=text)
    parser.add_argument("--require-identity-token", action="store_true", help="answer only who is allowed to call")
    parser.add_argument(
        "--no-access-log", dest="access_log", action="store_false", help="write no line for each call: the platform may"
    )
    parser.add_argument("--channelz", action="store_true", help="tell of the server's own connections, by channelz")
    return parser


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Read the configuration; a flag wins over the environment, which wins over the default.

    Args:
        arguments: the command line, without the program's name.
        environment: the environment variables. Read are PORT and K_SERVICE, which Cloud Run sets, GOOGLE_CLOUD_PROJECT,
            and of OpenTelemetry's those that say whether to send anything.

    Raises:
        ConfigError: a value is not accepted.
        SystemExit: the command line asked for help (status 0) or could not be parsed (status 2).
    """
    flags = vars(_parser().parse_args(arguments))
    settings: dict[str, object] = {
        "access_log": flags["access_log"],
        "channelz": flags["channelz"],
        "identity": _identity(flags),
        "project": environment.get("GOOGLE_CLOUD_PROJECT", ""),
        "traces": _sends("TRACES", environment),
        "metrics": _sends("METRICS", environment),
    }
    if "PORT" in environment:
        settings["port"] = _port("PORT", environment["PORT"])
    if "K_SERVICE" in environment:
        settings |= {"log_format": "json", "service": environment["K_SERVICE"]}
    for name, (parse, _, _) in _FLAGS.items():
        if flags[name] is not None:
            settings[name] = parse(f"--{name.replace('_', '-')}", flags[name])
    if settings["channelz"] and settings.get("engine") != "stock":
        raise ConfigError("--channelz requires --engine=stock: nggrpc does not have the channelz service")
    return Config(**settings)  # type: ignore[arg-type] # each was parsed by its own function
