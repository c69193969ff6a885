"""Tests of a server that checks identity tokens itself: which callers it admits, and how it fetches the JWKS."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from testing import programs, service_list, timeouts
from testing.fakes import invalid_tokens
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.invalid_tokens import INVALID_TOKENS
from testing.fakes.jwks_server import JwksServer

AUDIENCE = "https://calculator-abc.a.run.app"
EXEMPT = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
ISSUER, OTHER = Issuer(), Issuer()


@pytest.fixture(scope="module")
def keys() -> Iterator[JwksServer]:
    with JwksServer(ISSUER) as server:
        yield server


def _flags(keys: JwksServer, *more: str) -> list[str]:
    required = ["--require-identity-token", f"--allowed-audience={AUDIENCE}", f"--allowed-caller={ACCOUNT}"]
    return [*required, f"--identity-keys={keys.url}", *more]


class Calculator:
    """A running server, and a channel to it."""

    def __init__(self, server: programs.Server, channel: grpc.Channel) -> None:
        self.server = server
        self.channel = channel

    def call(self, token: str | None) -> bytes:
        """Call Calculate with a token; return the response."""
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary("/Calculator/Calculate")
        return method(b"", timeout=timeouts.SECONDS, metadata=invalid_tokens.metadata(token))

    def status(self, token: str | None) -> grpc.StatusCode:
        """Call Calculate with a token; return the status."""
        try:
            self.call(token)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def refusal(self, token: str | None) -> grpc.RpcError:
        """Call Calculate with a token that must be refused; return the error."""
        with pytest.raises(grpc.RpcError) as refused:
            self.call(token)
        return refused.value


@contextmanager
def _serving(keys: JwksServer, *flags: str) -> Iterator[Calculator]:
    with (
        programs.serving(*_flags(keys, *flags)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield Calculator(server, channel)


@pytest.fixture(scope="module")
def closed(keys: JwksServer) -> Iterator[Calculator]:
    """A server that requires a token for every method."""
    with _serving(keys) as calculator:
        yield calculator


@pytest.fixture(scope="module")
def exempting(keys: JwksServer) -> Iterator[Calculator]:
    """A server that exempts health and reflection."""
    with _serving(keys, "--exempt=health", "--exempt=reflection") as calculator:
        yield calculator


@pytest.mark.parametrize("invalid", INVALID_TOKENS)
def test_every_method_that_is_not_exempt_refuses_an_invalid_token(
    closed: Calculator, exempting: Calculator, invalid: str
) -> None:
    methods = service_list.methods(exempting.channel)
    assert len(methods) > 10
    metadata = invalid_tokens.metadata(INVALID_TOKENS[invalid](ISSUER, AUDIENCE))
    for method in methods:
        # A header that ends with a space is not valid (RFC 9113, section 8.2.1), and the call is reset.
        refused = grpc.StatusCode.INTERNAL if invalid == "empty" else grpc.StatusCode.UNAUTHENTICATED
        assert service_list.status(closed.channel, method, metadata) is refused, method.full_name
        is_exempt = method.containing_service.full_name in EXEMPT and invalid != "empty"
        assert (service_list.status(exempting.channel, method, metadata) is not refused) == is_exempt, method.full_name


def test_every_method_accepts_a_valid_token(closed: Calculator, exempting: Calculator) -> None:
    metadata = invalid_tokens.metadata(ISSUER.token(AUDIENCE))
    for method in service_list.methods(exempting.channel):
        status = service_list.status(closed.channel, method, metadata)
        assert status not in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}, method.full_name


def test_an_unknown_method_is_unauthenticated_without_a_token(closed: Calculator) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        programs.call(closed.channel, "/grpc.health.v1.Health/../Calculator/Calculate", b"")
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("claims", "code", "reason"),
    [
        ({"email": "other@example.com"}, grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        ({"email": ACCOUNT.upper()}, grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        ({"email_verified": False}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"email_verified": "true"}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"email": None}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"aud": [AUDIENCE + "/"]}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"exp": None}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"exp": "never"}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"email": [ACCOUNT]}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
        ({"email": "\ud800@example.com"}, grpc.StatusCode.UNAUTHENTICATED, "NOT_IDENTIFIED"),
    ],
    ids=str,
)
def test_a_signed_token_with_wrong_claims_is_refused_with_a_reason(
    closed: Calculator, claims: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    error = closed.refusal(ISSUER.token(AUDIENCE, **claims))
    assert error.code() is code
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # the error is also the call
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == reason


@pytest.mark.parametrize("claims", [{"exp": str(int(time.time()) + 3600)}, {"iss": "accounts.google.com"}], ids=str)
def test_unusual_but_valid_claims_are_accepted(closed: Calculator, claims: dict[str, Any]) -> None:
    assert closed.status(ISSUER.token(AUDIENCE, **claims)) is grpc.StatusCode.OK


def test_two_tokens_are_refused(closed: Calculator) -> None:
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = closed.channel.unary_unary("/Calculator/Calculate")
    with pytest.raises(grpc.RpcError) as refused:
        method(b"", timeout=timeouts.SECONDS, metadata=invalid_tokens.metadata(ISSUER.token(AUDIENCE)) * 2)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_whose_signature_cloud_run_removed_is_refused_with_advice(closed: Calculator) -> None:
    header, claims, _ = ISSUER.token(AUDIENCE).split(".")
    error = closed.refusal(f"{header}.{claims}.SIGNATURE_REMOVED_BY_GOOGLE")
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "send it as `x-serverless-authorization` and as `authorization`" in (error.details() or "")


def test_a_token_is_refused_after_it_expires(closed: Calculator) -> None:
    # The server accepts a token for 10 s after it has expired, because clocks differ.
    token = ISSUER.token(AUDIENCE, exp=int(time.time()) - 10 + round(4 * timeouts.SLOWDOWN))
    closed.call(token)
    programs.eventually(lambda: closed.status(token) is grpc.StatusCode.UNAUTHENTICATED)


def test_the_log_names_the_caller_and_contains_no_token(closed: Calculator) -> None:
    token = ISSUER.token(AUDIENCE)
    closed.call(token)
    closed.refusal(ISSUER.token(AUDIENCE, email="stranger@example.com"))
    assert "/Calculator/Calculate OK" in closed.server.wait_for_log(f"caller={ACCOUNT}")
    assert "/Calculator/Calculate PERMISSION_DENIED" in closed.server.wait_for_log("caller=stranger@example.com")
    closed.refusal(ISSUER.token("https://other"))
    refused = closed.server.wait_for_log("refusal=the identity token is invalid: it is for another")
    assert "UNAUTHENTICATED" in refused
    assert "caller=" not in refused
    assert not [line for line in closed.server.log if "eyJ" in line]


def test_a_jwks_on_this_machine_is_not_fetched_through_a_proxy(keys: JwksServer) -> None:
    with (
        programs.serving(*_flags(keys), **programs.BROKEN_PROXY) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert Calculator(server, channel).status(ISSUER.token(AUDIENCE)) is grpc.StatusCode.OK


def test_calls_shortly_after_a_failed_fetch_of_the_jwks_fail_without_another_fetch() -> None:
    with JwksServer() as empty:
        empty.answer = (503, "")
        with _serving(empty) as calculator:
            for _ in range(20):
                assert calculator.refusal(ISSUER.token(AUDIENCE)).code() is grpc.StatusCode.UNAVAILABLE
            assert calculator.server.wait_for_log("Cannot fetch the keys")
            assert empty.request_count == 1


def test_a_slow_jwks_server_does_not_hold_up_calls_for_long() -> None:
    with JwksServer(ISSUER) as keys:
        keys.gate.clear()
        with _serving(keys) as calculator:
            assert calculator.status(ISSUER.token(AUDIENCE)) is grpc.StatusCode.UNAVAILABLE
            keys.gate.set()
            programs.eventually(lambda: calculator.status(ISSUER.token(AUDIENCE)) is grpc.StatusCode.OK)


def test_concurrent_calls_fetch_the_jwks_once() -> None:
    with JwksServer(ISSUER) as keys, _serving(keys) as calculator:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = calculator.channel.unary_unary("/Calculator/Calculate")
        metadata = invalid_tokens.metadata(ISSUER.token(AUDIENCE))
        calls = [method.future(b"", timeout=timeouts.SECONDS, metadata=metadata) for _ in range(90)]
        assert all(call.result() == b"" for call in calls)
        assert keys.request_count == 1
