"""The emulator's front end, a real Envoy: terminates TLS, verifies identity tokens, and forwards to the instances.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/jwt_authn_filter
"""

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingress import envoy
from ingress.envoy import Envoy
from server.process.sockets import LOOPBACK, ReservedPort
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import ISSUER

_TYPE = "type.googleapis.com/envoy.extensions."
_LISTENER = "front_end"
_MOST_CONNECTIONS = 1000


@dataclass(frozen=True)
class FrontEndSettings:
    """The settings of a front end.

    Attributes:
        audiences: the accepted audiences of tokens: the service's URL, and its custom audiences.
        keys: the issuer's public keys, as a JSON Web Key Set (JWKS).
        timeout: the timeout of a request, streams included, in seconds, from 1 to 3600.
        concurrency: the maximum number of concurrent requests per instance, from 1 to 1000; further requests wait.
        is_http1: whether requests are forwarded over HTTP/1, as without `--use-http2`.
        is_public: whether requests without a token are forwarded, as with `--allow-unauthenticated`.
        hosts: the IP addresses and host names of this machine to listen on.
        port: the port to listen on; 0 means a free one.
    """

    audiences: tuple[str, ...]
    keys: str
    timeout: int = 300
    concurrency: int = 80
    is_http1: bool = False
    is_public: bool = False
    hosts: tuple[str, ...] = LOOPBACK
    port: int = 0


def _typed(name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"@type": _TYPE + name} | fields


def _filter(name: str, message: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"name": f"envoy.filters.http.{name}", "typed_config": _typed(f"filters.http.{name}.v3.{message}", **fields)}


def _tokens(settings: FrontEndSettings) -> dict[str, Any]:
    """Return the filter that verifies the token.

    If a request has both headers, only x-serverless-authorization is verified: the other one is for the service.
    """
    special, usual = "x-serverless-authorization", "authorization"
    providers = {
        header: {
            "issuer": ISSUER,
            "audiences": list(settings.audiences),
            "local_jwks": {"inline_string": settings.keys},
            "forward": True,
            "from_headers": [{"name": header, "value_prefix": "Bearer "}],
            "payload_in_metadata": "claims",
        }
        for header in (special, usual)
    }
    is_special = {"prefix": "/", "headers": [{"name": special, "present_match": True}]}
    rules = [
        {"match": is_special, "requires": {"provider_name": special}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": usual}},
    ]
    return _filter("jwt_authn", "JwtAuthentication", providers=providers, rules=rules)


def _exact_audience(settings: FrontEndSettings) -> dict[str, Any]:
    """Return the filter that compares audiences exactly, as Cloud Run does: jwt_authn ignores scheme and last slash."""
    claim = {"filter": "envoy.filters.http.jwt_authn", "path": [{"key": "claims"}, {"key": "aud"}]}
    texts = [{"string_match": {"exact": audience}} for audience in settings.audiences]
    values = [*texts, *({"list_match": {"one_of": text}} for text in texts)]
    principals = [{"sourced_metadata": {"metadata_matcher": claim | {"value": value}}} for value in values]
    policy = {"permissions": [{"any": True}], "principals": principals}
    return _filter("rbac", "RBAC", rules={"action": "ALLOW", "policies": {"audience": policy}})


def _refusals() -> dict[str, Any]:
    """Return the statuses of rejected requests, which are Cloud Run's: 403 without a token, 401 with an invalid token.

    https://cloud.google.com/run/docs/troubleshooting
    """
    expression = "response.code_details.contains('Jwt_is_missing')"
    is_missing = {
        "name": "envoy.access_loggers.extension_filters.cel",
        "typed_config": _typed("access_loggers.filters.cel.v3.ExpressionFilter", expression=expression),
    }
    is_forbidden = {"comparison": {"op": "EQ", "value": {"default_value": 403, "runtime_key": "none"}}}
    mappers = [
        {"filter": {"extension_filter": is_missing}, "status_code": 403},
        {"filter": {"status_code_filter": is_forbidden}, "status_code": 401},
    ]
    return {"mappers": mappers}


def _script(name: str) -> dict[str, Any]:
    script = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return _filter("lua", "Lua", default_source_code={"inline_string": script})


def _tls(folder: Path) -> dict[str, Any]:
    certificate = {
        "certificate_chain": {"filename": str(folder / "server.crt")},
        "private_key": {"filename": str(folder / "server.key")},
    }
    context = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": _typed("transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context),
    }


def _previous_hosts() -> dict[str, Any]:
    name = "previous_hosts"
    predicate = _typed(f"retry.host.{name}.v3.PreviousHostsPredicate")
    return {"name": f"envoy.retry_host_predicates.{name}", "typed_config": predicate}


def _listener(settings: FrontEndSettings, reserved: ReservedPort, folder: Path) -> dict[str, Any]:
    route = {
        "match": {"prefix": "/"},
        "route": {
            "cluster": "instances",
            "timeout": "0s",  # disabled: this timeout would start only at the end of the client's request stream
            "max_stream_duration": {"max_stream_duration": f"{settings.timeout}s"},
            # A request that an instance has not started, because it stops or has stopped, is sent to another instance.
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream",
                "num_retries": 3,
                "retry_host_predicate": [_previous_hosts()],
                "host_selection_retry_max_attempts": 5,
            },
        },
    }
    verification = [_tokens(settings), _exact_audience(settings), _script("remove_signature.lua")]
    manager = _typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=_LISTENER,
        local_reply_config=_refusals(),
        use_remote_address=True,  # all callers are external, so they cannot choose x-request-id
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            *([] if settings.is_public else verification),
            _script("begin_trace.lua"),
            _filter("router", "Router"),
        ],
    )
    return {
        "name": _LISTENER,
        **envoy.listen_on(reserved),
        "enable_reuse_port": False,  # otherwise a second emulator could silently share the port
        "filter_chains": [
            {
                "transport_socket": _tls(folder),
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }


def configuration(
    settings: FrontEndSettings, reserved: ReservedPort, instances: list[int], folder: Path
) -> dict[str, Any]:
    """Return Envoy's configuration.

    Args:
        settings: the settings.
        reserved: the port to listen on.
        instances: the ports of the instances on this machine.
        folder: the folder of server.crt and server.key.
    """
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in instances
    ]
    # With HTTP/2, an instance has one connection with as many streams as its concurrency; with HTTP/1, as many
    # connections. Further requests wait.
    connections, protocol = (
        (settings.concurrency, {"http_protocol_options": {}})
        if settings.is_http1
        else (1, {"http2_protocol_options": {"max_concurrent_streams": settings.concurrency}})
    )
    options = _typed("upstreams.http.v3.HttpProtocolOptions", explicit_http_config=protocol)
    limit = settings.concurrency * len(instances)
    cluster = {
        "name": "instances",
        "type": "STATIC",
        # Not LEAST_REQUEST, which would prefer a stopped instance, since that has the fewest active requests.
        "lb_policy": "ROUND_ROBIN",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "circuit_breakers": {
            "thresholds": [{"max_requests": limit, "max_retries": limit}],
            "per_host_thresholds": [{"max_connections": connections}],
        },
        "load_assignment": {"cluster_name": "instances", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    connections_limit = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": _typed(
            "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections=_MOST_CONNECTIONS,
        ),
    }
    return {
        "overload_manager": {"resource_monitors": [connections_limit]},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {"listeners": [_listener(settings, reserved, folder)], "clusters": [cluster]},
    }


@contextmanager
def serving(
    program: Path, settings: FrontEndSettings, instances: list[int], authority: CertificateAuthority, folder: Path
) -> Iterator[Envoy]:
    """Run a front end until the block ends.

    Args:
        program: the path of Envoy.
        settings: the settings.
        instances: the ports of the instances on this machine.
        authority: the certificate authority that issues the server certificate.
        folder: a folder for the configuration, the certificate and its key.

    Raises:
        HostError: a host is not a name or an address of this machine.
        ListenError: the port is in use, or this user may not listen on it.
    """
    authority.write(folder)
    with contextlib.closing(ReservedPort(settings.hosts, settings.port)) as reserved:
        text = json.dumps(configuration(settings, reserved, instances, folder))
        with envoy.running(program, text, folder) as process:
            yield process
