"""The server's configuration: environment variables that the platform sets, and flags that the operator sets."""

import argparse
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from server.observability import logs
from server.process import cgroup, sockets

DEFAULT_PORT = 50051
Engine: TypeAlias = Literal["nggrpc", "stock"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

_ALL_IPV4 = "0.0.0.0"  # noqa: S104 - only compared
_MAX_PORT = 65535
_MAX_WORKERS = 256
_MAX_COUNT = 2**31 - 1
_MIN_SECONDS = 0.001
_MAX_SECONDS = 24 * 3600

Exemption: TypeAlias = Literal["health", "reflection"]
EXEMPTIONS: dict[Exemption, str] = {"health": "/grpc.health.", "reflection": "/grpc.reflection."}
"""The services that --exempt may exempt from identity tokens, with the prefix of their methods."""


class ConfigError(ValueError):
    """A setting has an invalid value. The message names the setting, its value and the accepted values."""


@dataclass(frozen=True)
class IdentityRules:
    """The identity tokens that the server accepts, if it verifies tokens itself.

    Attributes:
        audiences: the accepted audiences of tokens: the URLs of the service.
        callers: the e-mail addresses of the accounts that may call.
        keys: the URL of the JSON Web Key Set (JWKS) with which signatures are verified.
        issuers: the accepted issuers, as in the `iss` claim.
        exempt: the services that may be called without a token: "health", "reflection".
    """

    audiences: tuple[str, ...]
    callers: tuple[str, ...]
    keys: str = "https://www.googleapis.com/oauth2/v3/certs"
    issuers: tuple[str, ...] = ("https://accounts.google.com", "accounts.google.com")
    exempt: tuple[Exemption, ...] = ()


@dataclass(frozen=True)
class Config:
    """All settings of the server.

    Attributes:
        hosts: the IP addresses and host names of this machine to listen on; see `sockets.ReservedPort`.
        port: the TCP port to listen on, 0-65535; 0 means any free port.
        log_format: "text" for people, "json" for Cloud Run.
        shutdown_delay: the time after a stop signal during which new calls are still accepted, in seconds, so that
            clients and load balancers can notice the shutdown.
        shutdown_grace: the time after `shutdown_delay` that calls in flight have to finish, in seconds.
        max_message_bytes: the maximum size of a request message.
        max_concurrent_calls: the maximum number of calls in flight; further calls are refused.
        max_connection_age: the age of a connection at which its client is asked to reconnect, in seconds, so that load
            reaches new instances.
        max_connection_age_grace: the time that calls have to finish on a connection of that age, in seconds.
        max_deadline: the maximum duration of a call, in seconds.
        min_ping_interval: the minimum time between two keepalive pings of a client, in seconds.
        keepalive_time: the time without data from a client after which the server sends a ping, in seconds.
        access_log: whether each call is logged.
        channelz: whether to serve channelz, which describes the server's connections.
        engine: the gRPC implementation: "nggrpc", or "stock" for grpcio's own server.
        workers: the number of processes, 1-256.
        identity: the identity tokens that calls must have; None if the server does not verify tokens.
        service: the name of this service in traces and metrics.
        project: the Google Cloud project of the traces in the log; empty if unknown.
        traces: whether to export traces over OTLP.
        metrics: whether to export metrics over OTLP.
    """

    hosts: tuple[str, ...] = sockets.ALL_INTERFACES
    port: int = DEFAULT_PORT
    log_format: logs.Format = "text"
    shutdown_delay: float = 0
    shutdown_grace: float = 9
    max_message_bytes: int = 4 * 1024 * 1024
    max_concurrent_calls: int = 100
    max_connection_age: float = 600
    max_connection_age_grace: float = 3600
    max_deadline: float = 3600  # the maximum on Cloud Run
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
    # int() alone would accept signs, spaces, underscores and the digits of other scripts.
    if re.fullmatch("[0-9]{1,5}", value) and int(value) <= _MAX_PORT:
        return int(value)
    raise ConfigError(f"{setting}={value!r}: must be 0-{_MAX_PORT}, where 0 means any free port")


def _count(setting: str, value: str) -> int:
    if re.fullmatch("[0-9]{1,10}", value) and 1 <= int(value) <= _MAX_COUNT:
        return int(value)
    raise ConfigError(f"{setting}={value!r}: must be a whole number, 1-{_MAX_COUNT}")


def _seconds(setting: str, value: str) -> float:
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", value) and _MIN_SECONDS <= float(value) <= _MAX_SECONDS:
        return float(value)
    raise ConfigError(f"{setting}={value!r}: must be {_MIN_SECONDS}-{_MAX_SECONDS} seconds")


def _delay(setting: str, value: str) -> float:
    if value == "0":
        return 0
    try:
        return _seconds(setting, value)
    except ConfigError as error:
        raise ConfigError(f"{error}, or 0") from None


def _either(values: Sequence[str]) -> str:
    return " or ".join(repr(value) for value in values)


def _log_format(setting: str, value: str) -> logs.Format:
    for log_format in logs.FORMATS:
        if value == log_format:
            return log_format
    raise ConfigError(f"{setting}={value!r}: must be {_either(logs.FORMATS)}")


def _workers(setting: str, value: str) -> int:
    if value == "auto":
        return min(cgroup.cpu_limit(), _MAX_WORKERS)
    if re.fullmatch("[0-9]{1,3}", value) and 1 <= int(value) <= _MAX_WORKERS:
        return int(value)
    raise ConfigError(f"{setting}={value!r}: must be 1-{_MAX_WORKERS} or 'auto'")


def _engine(setting: str, value: str) -> Engine:
    for engine in ENGINES:
        if value == engine:
            return engine
    raise ConfigError(f"{setting}={value!r}: must be {_either(ENGINES)}")


_FLAGS: dict[str, tuple[Callable[[str, str], object], str, str]] = {
    "port": (_port, "PORT", f"TCP port to listen on; 0 means any free port [default: $PORT, else {DEFAULT_PORT}]"),
    "log_format": (_log_format, "FORMAT", "text or json [default: json on Cloud Run, else text]"),
    "shutdown_delay": (_delay, "SECONDS", "time after a stop signal during which new calls are still accepted"),
    "shutdown_grace": (_seconds, "SECONDS", "time after --shutdown-delay that calls in flight have to finish"),
    "max_message_bytes": (_count, "BYTES", "maximum size of a request message"),
    "max_concurrent_calls": (_count, "CALLS", "maximum number of calls in flight; further calls are refused"),
    "max_connection_age": (
        _seconds,
        "SECONDS",
        "age of a connection at which its client is asked to reconnect",
    ),
    "max_connection_age_grace": (_seconds, "SECONDS", "time that the calls of such a connection have to finish"),
    "max_deadline": (_seconds, "SECONDS", "maximum duration of a call, even if its client sets a longer deadline"),
    "engine": (_engine, "ENGINE", "gRPC implementation: nggrpc, or stock for grpcio's own server"),
    "workers": (_workers, "COUNT", "number of processes that share the port; auto: one per CPU of the container"),
    "min_ping_interval": (
        _seconds,
        "SECONDS",
        "minimum time between keepalive pings of a client; connections that ping more often are closed",
    ),
    "keepalive_time": (
        _seconds,
        "SECONDS",
        "time without data from a client after which the server sends a ping",
    ),
}


def _url(setting: str, value: str) -> str:
    # An attacker who can tamper with the keys in transit can forge tokens of any account.
    with contextlib.suppress(ValueError):  # raised for an invalid IPv6 address or port
        url = urlsplit(value)
        host, _ = url.hostname, url.port
        if (url.scheme == "https" and host) or (url.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")):
            return value
    raise ConfigError(f"{setting}={value!r}: must be an https:// URL, or an http:// URL of localhost")


def _email(setting: str, value: str) -> str:
    if re.fullmatch(r"[^\s@:]+@[^\s@:]+", value):  # refuses IAM's member syntax, such as "user:a@example.com"
        return value
    raise ConfigError(f"{setting}={value!r}: must be an e-mail address")


def _text(setting: str, value: str) -> str:
    if value.strip():
        return value
    raise ConfigError(f"{setting}={value!r}: must not be empty")


def _exemption(setting: str, value: str) -> Exemption:
    for exemption in EXEMPTIONS:
        if value == exemption:
            return exemption
    raise ConfigError(f"{setting}={value!r}: must be {_either(tuple(EXEMPTIONS))}")


# The flag of each attribute of IdentityRules. Those in _REPEATABLE may be given several times.
_IDENTITY_FLAGS: dict[str, tuple[str, Callable[[str, str], str], str, str]] = {
    "audiences": (
        "--allowed-audience",
        _text,
        "URL",
        "accepted audience of tokens: the service's URL; repeatable",
    ),
    "callers": ("--allowed-caller", _email, "EMAIL", "account that may call; repeatable"),
    "exempt": (
        "--exempt",
        _exemption,
        "WHAT",
        "service that requires no token: health or reflection; repeatable",
    ),
    "keys": (
        "--identity-keys",
        _url,
        "URL",
        f"URL of the JWKS used to verify tokens [default: {IdentityRules.keys}]",
    ),
    "issuers": (
        "--identity-issuer",
        _text,
        "NAME",
        f"accepted issuer of tokens; repeatable [default: {' and '.join(IdentityRules.issuers)}]",
    ),
}
_REPEATABLE = ("audiences", "callers", "exempt", "issuers")


def _identity(flags: Mapping[str, Any]) -> IdentityRules | None:
    given = {name: flags[name] for name in _IDENTITY_FLAGS if flags[name]}
    if not flags["require_identity_token"]:
        for name in given:
            raise ConfigError(f"{_IDENTITY_FLAGS[name][0]} requires --require-identity-token")
        return None
    for name, whose in (("audiences", "tokens for other services"), ("callers", "tokens of every account")):
        if name not in given:
            flag = _IDENTITY_FLAGS[name][0]
            raise ConfigError(f"--require-identity-token requires {flag}; otherwise {whose} would be accepted")
    settings: dict[str, Any] = {}
    for name, values in given.items():
        flag, parse, _, _ = _IDENTITY_FLAGS[name]
        parsed = tuple(parse(flag, value) for value in values)
        settings[name] = parsed if name in _REPEATABLE else parsed[-1]
    return IdentityRules(**settings)


def _is_exported(signal: str, environment: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's variables enable the export of a signal, TRACES or METRICS, over OTLP.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

    Raises:
        ConfigError: the exporter or, unless the signal is disabled, the protocol is not supported.
    """
    exporter = environment.get(f"OTEL_{signal}_EXPORTER", "")
    if exporter not in ("", "otlp", "none"):
        raise ConfigError(f"OTEL_{signal}_EXPORTER={exporter!r}: must be 'otlp' or 'none'")
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    # Check the protocol even without an endpoint: an operator who sets it expects data, and would get none.
    protocols = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name = next((name for name in protocols if environment.get(name)), None)
    if name and environment[name] != "grpc":
        raise ConfigError(
            f"{name}={environment[name]!r}: must be 'grpc', the only supported protocol; collectors receive it on port"
            " 4317 by default"
        )
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return exporter == "otlp" or any(environment.get(name) for name in endpoints)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="server",
        description="Serves the calculator over gRPC, without TLS: on Cloud Run, the platform terminates TLS.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--host",
        dest="hosts",
        action="append",
        metavar="HOST",
        help="IP address or host name of this machine to listen on; repeatable [default: all interfaces]",
    )
    for name, (_, metavar, text) in _FLAGS.items():
        default = "" if "[default" in text else f" [default: {getattr(Config, name)}]"
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=text + default)
    for name, (flag, _, metavar, text) in _IDENTITY_FLAGS.items():
        parser.add_argument(flag, dest=name, action="append", metavar=metavar, help=text)
    parser.add_argument(
        "--require-identity-token", action="store_true", help="require an identity token of an allowed caller"
    )
    parser.add_argument(
        "--no-access-log",
        dest="access_log",
        action="store_false",
        help="disable the access log, for platforms that log requests themselves",
    )
    parser.add_argument(
        "--channelz",
        action="store_true",
        help="serve channelz, which describes the connections; requires --engine=stock",
    )
    return parser


def _check_hosts_of_stock(hosts: Sequence[str]) -> None:
    for host in hosts:
        with contextlib.suppress(sockets.HostError):  # an unknown host is an error when the port is reserved
            if _ALL_IPV4 in sockets.resolve(host):
                raise ConfigError(
                    f"--host={host} requires --engine=nggrpc: grpcio would also listen on IPv6, like --host=::"
                )


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Read the configuration. Flags take precedence over environment variables, which take precedence over defaults.

    Args:
        arguments: the command line, without the program's name.
        environment: the environment variables. The function reads PORT and K_SERVICE (both set by Cloud
            Run), GOOGLE_CLOUD_PROJECT, and the OpenTelemetry variables that enable or disable exports.

    Raises:
        ConfigError: a value is invalid.
        SystemExit: the command line contains --help (status 0) or cannot be parsed (status 2).
    """
    flags = vars(_parser().parse_args(arguments))
    settings: dict[str, object] = {
        "access_log": flags["access_log"],
        "channelz": flags["channelz"],
        "identity": _identity(flags),
        "project": environment.get("GOOGLE_CLOUD_PROJECT", ""),
        "traces": _is_exported("TRACES", environment),
        "metrics": _is_exported("METRICS", environment),
    }
    if "PORT" in environment:
        settings["port"] = _port("PORT", environment["PORT"])
    if "K_SERVICE" in environment:
        settings |= {"log_format": "json", "service": environment["K_SERVICE"]}
    if flags["hosts"]:
        settings["hosts"] = tuple(flags["hosts"])
    for name, (parse, _, _) in _FLAGS.items():
        if flags[name] is not None:
            settings[name] = parse(f"--{name.replace('_', '-')}", flags[name])
    if settings["channelz"] and settings.get("engine") != "stock":
        raise ConfigError("--channelz requires --engine=stock: nggrpc does not have the channelz service")
    if settings.get("engine") == "stock":
        _check_hosts_of_stock(flags["hosts"] or ())
    return Config(**settings)  # type: ignore[arg-type] # each value was parsed by its own function
