"""Tests of the clients' TLS and identity tokens, against a server that records the metadata of each call.

Tests with the fixture `run` run for the command lines in Python and in Go, the others for the library in Python.
"""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from client import identity
from client.access import IDENTITY_TOKEN, Access, AccessError
from client.channel import connect
from server.services.calculator_v1 import CalculatorServicer
from testing import programs, timeouts
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.google_apis import OTHER_ACCOUNT, PERSON, ROBOT, WORKLOAD, GoogleApis, IssuedToken
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.metadata_server import MetadataServer
from testing.fakes.proxy import Proxy

AUDIENCE = "https://localhost"
REQUEST = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3)
SERVICE = "calculator-abc.a.run.app"
# Hides the credentials of the person who runs the tests.
NO_CREDENTIALS = {"GOOGLE_APPLICATION_CREDENTIALS": "", "GCE_METADATA_HOST": "", "K_SERVICE": ""}


Run = Callable[..., list[str]]


class Recorder(grpc.ServerInterceptor):
    """A calculator server with a TLS port and a plaintext port, which records the metadata of each call.

    Attributes:
        seen: the method and the metadata of each call, in order.
    """

    def __init__(self, authority: CertificateAuthority) -> None:
        self.seen: list[tuple[str, dict[str, str | bytes]]] = []
        self.server = grpc.server(futures.ThreadPoolExecutor(40), interceptors=[self])
        calculator_pb2_grpc.add_CalculatorServicer_to_server(CalculatorServicer(), self.server)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), self.server)
        reflection.enable_server_reflection(["calculator.v1.Calculator", reflection.SERVICE_NAME], self.server)
        credentials = grpc.ssl_server_credentials([(authority.server_key, authority.server_certificate)])
        self.tls_port = self.server.add_secure_port("localhost:0", credentials)
        self.port = self.server.add_insecure_port("localhost:0")

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:  # noqa: ANN401
        metadata = dict(handler_call_details.invocation_metadata)
        self.seen.append((handler_call_details.method, metadata))
        return continuation(handler_call_details)

    def tokens(self, header: str = "authorization") -> list[str]:
        """Return the tokens of all calls so far, in order."""
        return [str(metadata.get(header, "")).removeprefix("Bearer ") for _, metadata in self.seen]


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority(("localhost", SERVICE))


@pytest.fixture
def ca_cert(authority: CertificateAuthority, tmp_path: Path) -> Path:
    return authority.write(tmp_path)[0]


@pytest.fixture
def recorder(authority: CertificateAuthority) -> Iterator[Recorder]:
    running = Recorder(authority)
    running.server.start()
    yield running
    running.server.stop(grace=None).wait()


@pytest.fixture(params=[programs.CLIENT, programs.GO_CLIENT], ids=["Python", "Go"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a function that runs the command line of a client, and returns its stdout and stderr."""

    def client(*arguments: str, **environment: str) -> list[str]:
        finished = programs.run([request.param, *arguments], **(NO_CREDENTIALS | environment))
        return [finished.stdout, finished.stderr]

    return client


@pytest.fixture
def cloud(run: Run, recorder: Recorder, ca_cert: Path) -> Iterator[Run]:
    """Make the recorder reachable by a Cloud Run service's name; yield a function that runs the client against it."""
    with Proxy(recorder.tls_port) as tunnel:
        proxied = {
            "https_proxy": f"http://{tunnel.host}",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(ca_cert),  # for gRPC core
            "SSL_CERT_FILE": str(ca_cert),  # for Go
        }

        def call(*options: str, **environment: str) -> list[str]:
            return run("--target", SERVICE, *options, "calc", "2", "+", "3", **(proxied | environment))

        yield call
        assert set(tunnel.destinations) <= {f"{SERVICE}:443"}


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    """A metadata server that programs find as they do on Google Cloud."""
    for name, value in NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with MetadataServer(Issuer()) as server:
        monkeypatch.setenv("GCE_METADATA_HOST", server.host)
        # In this process, google-auth has already read the variable.
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", server.host)
        yield server


def _audience(token: str) -> str:
    audience: str = jwt.decode(token, options={"verify_signature": False})["aud"]
    return audience


def test_every_call_including_reflection_and_health_carries_a_token_for_the_service(
    run: Run, recorder: Recorder, metadata: MetadataServer, ca_cert: Path
) -> None:
    options = ["--target", f"localhost:{recorder.tls_port}", "--ca-cert", str(ca_cert), "--auth", "identity-token"]
    said = ""
    for command in (["calc", "2", "+", "3"], ["eval", "2+3"], ["aggregate", "2", "3"], ["health"], ["list"]):
        output, error = run(*options, *command, GCE_METADATA_HOST=metadata.host)
        assert error == ""
        said += output
    methods = {method.rpartition("/")[2] for method, _ in recorder.seen}
    assert methods == {"Calculate", "Evaluate", "Aggregate", "Check", "ServerReflectionInfo"}
    assert {_audience(token) for token in recorder.tokens()} == {"https://localhost"}
    assert not [token for token in recorder.tokens() if token in said]


def test_the_metadata_server_is_not_reached_through_a_proxy(
    run: Run, recorder: Recorder, metadata: MetadataServer, ca_cert: Path
) -> None:
    options = ["--target", f"localhost:{recorder.tls_port}", "--ca-cert", str(ca_cert), "--auth", "identity-token"]
    environment = {"GCE_METADATA_HOST": metadata.host} | programs.BROKEN_PROXY
    assert run(*options, "calc", "2", "+", "3", **environment) == ["5\n", ""]


def test_a_thousand_concurrent_calls_fetch_one_token(
    recorder: Recorder, metadata: MetadataServer, ca_cert: Path
) -> None:
    access = Access(ca_cert=ca_cert, auth=IDENTITY_TOKEN)
    with connect(f"localhost:{recorder.tls_port}", access=access) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        calls = [stub.Calculate.future(REQUEST, timeout=timeouts.SECONDS) for _ in range(1000)]
        assert {call.result().result for call in calls} == {5}
    assert metadata.issued == ["https://localhost"]
    assert len(recorder.tokens()) == 1000
    assert len(set(recorder.tokens())) == 1


def test_a_token_is_replaced_before_it_expires_without_a_failed_call(
    recorder: Recorder, metadata: MetadataServer, ca_cert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A token is valid for an hour; here the client replaces it after half a second.
    monkeypatch.setattr(identity, "_EARLY", dt.timedelta(seconds=3599.5))
    with connect(f"localhost:{recorder.tls_port}", access=Access(ca_cert=ca_cert, auth=IDENTITY_TOKEN)) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)

        def is_replaced_twice() -> bool:
            assert stub.Calculate(REQUEST, timeout=timeouts.SECONDS).result == 5
            return len(metadata.issued) > 2

        programs.eventually(is_replaced_twice)


def test_audience_and_header_can_be_set_by_options(recorder: Recorder, metadata: MetadataServer, ca_cert: Path) -> None:
    headers = ("x-serverless-authorization",)
    access = Access(ca_cert=ca_cert, auth=IDENTITY_TOKEN, audience="https://mine.example.com", headers=headers)
    with connect(f"localhost:{recorder.tls_port}", access=access) as channel:
        calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS)
    assert metadata.issued == ["https://mine.example.com"]
    assert _audience(*recorder.tokens("x-serverless-authorization")) == "https://mine.example.com"
    assert recorder.tokens() == [""]


def test_a_server_with_an_untrusted_certificate_gets_neither_call_nor_token(
    run: Run, recorder: Recorder, metadata: MetadataServer, tmp_path: Path
) -> None:
    other, _, _ = CertificateAuthority().write(tmp_path)
    options = [
        "--target",
        f"localhost:{recorder.tls_port}",
        "--ca-cert",
        str(other),
        "--timeout",
        str(timeouts.SECONDS),
    ]
    _, error = run(*options, "--auth", "identity-token", "add", "2", "3", GCE_METADATA_HOST=metadata.host)
    assert error.startswith("Error: UNAVAILABLE"), error
    assert "certificate" in error.lower()
    assert recorder.seen == []


def test_a_token_is_sent_in_plaintext_only_to_this_machine_and_only_on_request(
    recorder: Recorder, metadata: MetadataServer
) -> None:
    target = f"localhost:{recorder.port}"
    for access in (Access(), Access(auth=IDENTITY_TOKEN)):
        with connect(target, access=access) as channel:
            calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS)
    first, second = recorder.tokens()
    assert (first, _audience(second)) == ("", "https://localhost")
    with pytest.raises(AccessError, match="is not sent in plaintext; use TLS"):
        connect("example.com:80", access=Access(auth=IDENTITY_TOKEN))
    assert len(metadata.issued) == 1


def test_auto_sends_a_token_only_to_cloud_run_or_if_an_audience_is_given(
    recorder: Recorder, metadata: MetadataServer, ca_cert: Path
) -> None:
    for access in (Access(ca_cert=ca_cert), Access(ca_cert=ca_cert, audience="https://x.a.run.app")):
        with connect(f"localhost:{recorder.tls_port}", access=access) as channel:
            calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS)
    first, second = recorder.tokens()
    assert (first, _audience(second)) == ("", "https://x.a.run.app")
    assert metadata.issued == ["https://x.a.run.app"]


def test_a_cloud_run_service_needs_no_option_but_its_name(
    recorder: Recorder, metadata: MetadataServer, cloud: Run
) -> None:
    assert cloud(GCE_METADATA_HOST=metadata.host) == ["5\n", ""]
    assert _audience(*recorder.tokens()) == f"https://{SERVICE}"


def test_without_credentials_auto_sends_no_token_and_options_that_require_one_fail_with_a_reason(
    recorder: Recorder, ca_cert: Path, cloud: Run
) -> None:
    nothing = {"GOOGLE_APPLICATION_CREDENTIALS": str(ca_cert.with_name("none.json"))}
    assert cloud(**nothing) == ["5\n", ""]
    assert recorder.tokens() == [""]
    for asks in ("--auth=identity-token", "--audience=https://x.a.run.app", "--impersonate-service-account=a@b"):
        output, error = cloud(asks, **nothing)
        assert output == ""
        assert error.startswith("Error: no credentials for an identity token: ")
        assert error.count("\n") == 1
    assert len(recorder.seen) == 1


def test_on_google_cloud_auto_fails_if_the_metadata_server_does_not_answer(recorder: Recorder, cloud: Run) -> None:
    output, error = cloud(GCE_METADATA_HOST="127.0.0.1:1", GCE_METADATA_TIMEOUT="1")
    assert output == ""
    assert error.startswith("Error: no credentials for an identity token: ")
    assert recorder.seen == []


def test_unreadable_certificates_are_a_one_line_error(run: Run, tmp_path: Path) -> None:
    _, error = run("--ca-cert", str(tmp_path / "none.crt"), "add", "2", "3")
    assert error.startswith(f"Error: the certificates in {tmp_path}/none.crt cannot be read: ")
    assert error.lower().endswith(": no such file or directory\n")
    (tmp_path / "other").write_text("no certificate", encoding="utf-8")
    _, error = run("--ca-cert", str(tmp_path / "other"), "add", "2", "3")
    assert error == f"Error: no certificate in {tmp_path}/other: must be a PEM file\n"


@pytest.fixture
def google(tmp_path: Path) -> Iterator[GoogleApis]:
    (tmp_path / "google").mkdir()
    with GoogleApis(tmp_path / "google") as running:
        yield running
        assert running.unexpected_hosts == []  # no other host is contacted, and gRPC does not use the proxy


def _environment(google: GoogleApis, folder: Path, credentials: dict[str, Any]) -> dict[str, str]:
    """Write a credentials file, and return the environment that makes a client use it."""
    file = folder / "credentials.json"
    file.write_text(json.dumps(credentials), encoding="utf-8")
    return NO_CREDENTIALS | google.environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


@dataclass(frozen=True)
class Caller:
    """Runs the client against the recorder, with Google credentials."""

    run: Run
    google: GoogleApis
    recorder: Recorder
    ca_cert: Path

    def ask(self, credentials: dict[str, Any], *options: str) -> list[str]:
        """Run the client with credentials; return its stdout and stderr, which must not contain a secret."""
        words = ["--target", f"localhost:{self.recorder.tls_port}", "--ca-cert", str(self.ca_cert)]
        environment = _environment(self.google, self.ca_cert.parent, credentials)
        said = self.run(*words, "--auth", "identity-token", *options, "calc", "2", "+", "3", **environment)
        assert not [secret for secret in self.google.secrets if secret in "".join(said)]
        return said


@pytest.fixture
def caller(run: Run, google: GoogleApis, recorder: Recorder, ca_cert: Path) -> Caller:
    return Caller(run, google, recorder, ca_cert)


@pytest.mark.parametrize(
    ("credentials", "impersonated", "given"),
    [
        (GoogleApis.key_of_robot, "", [IssuedToken(ROBOT, ROBOT, AUDIENCE)]),
        (GoogleApis.key_of_robot, ACCOUNT, [IssuedToken(ROBOT, ROBOT), IssuedToken(ROBOT, ACCOUNT, AUDIENCE)]),
        (GoogleApis.login_of_person, ACCOUNT, [IssuedToken(PERSON, PERSON), IssuedToken(PERSON, ACCOUNT, AUDIENCE)]),
        (
            GoogleApis.login_of_person_as_account,
            "",
            [IssuedToken(PERSON, PERSON), IssuedToken(PERSON, ACCOUNT, AUDIENCE)],
        ),
        (GoogleApis.workload, ACCOUNT, [IssuedToken(WORKLOAD, WORKLOAD), IssuedToken(WORKLOAD, ACCOUNT, AUDIENCE)]),
        (
            GoogleApis.workload_as_account,
            "",
            [IssuedToken(WORKLOAD, WORKLOAD), IssuedToken(WORKLOAD, ACCOUNT, AUDIENCE)],
        ),
        (
            GoogleApis.workload_as_account,
            ACCOUNT,
            [IssuedToken(WORKLOAD, WORKLOAD), IssuedToken(WORKLOAD, ACCOUNT, AUDIENCE)],
        ),
        (
            GoogleApis.workload_as_account,
            OTHER_ACCOUNT,
            [
                IssuedToken(WORKLOAD, WORKLOAD),
                IssuedToken(WORKLOAD, ACCOUNT),
                IssuedToken(ACCOUNT, OTHER_ACCOUNT, AUDIENCE),
            ],
        ),
    ],
)
def test_credentials_yield_a_token_of_the_account_for_the_service(
    caller: Caller, credentials: Callable[[GoogleApis], dict[str, Any]], impersonated: str, given: list[IssuedToken]
) -> None:
    options = ["--impersonate-service-account", impersonated] if impersonated else []
    assert caller.ask(credentials(caller.google), *options) == ["5\n", ""]
    assert caller.google.issued == given
    [token] = caller.recorder.tokens()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["email"]) == (AUDIENCE, given[-1].account)


@pytest.mark.parametrize(
    ("credentials", "complaint"),
    [
        (
            GoogleApis.workload,
            "is for a federated identity, which must impersonate a service account to get identity tokens.",
        ),
        (
            GoogleApis.login_of_person,
            "is for a user, who must impersonate a service account to get identity tokens for an audience.",
        ),
    ],
)
def test_credentials_without_a_service_account_are_a_one_line_error(
    caller: Caller, credentials: Callable[[GoogleApis], dict[str, Any]], complaint: str
) -> None:
    output, error = caller.ask(credentials(caller.google))
    assert (output, error.count("\n")) == ("", 1)
    assert complaint in error
    assert (caller.google.issued, caller.recorder.seen) == ([], [])


def test_a_denied_impersonation_is_a_one_line_error_without_a_call(caller: Caller) -> None:
    caller.google.allowed_impersonations.clear()
    output, error = caller.ask(caller.google.login_of_person(), "--impersonate-service-account", ACCOUNT)
    assert (output, error.count("\n")) == ("", 1)
    assert error.startswith("Error: cannot fetch an identity token: ")
    assert f"{ACCOUNT}:generateIdToken" in error
    assert "PERMISSION_DENIED" in error
    assert (caller.google.issued, caller.recorder.seen) == ([IssuedToken(PERSON, PERSON)], [])


@pytest.fixture
def impersonating(
    google: GoogleApis, recorder: Recorder, ca_cert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[calculator_pb2_grpc.CalculatorStub]:
    """A stub in this process that calls as an impersonated account, with the key of another account."""
    for name, value in _environment(google, tmp_path, google.key_of_robot()).items():
        monkeypatch.setenv(name, value)
    access = Access(ca_cert=ca_cert, auth=IDENTITY_TOKEN, impersonate=ACCOUNT)
    with connect(f"localhost:{recorder.tls_port}", access=access) as channel:
        yield calculator_pb2_grpc.CalculatorStub(channel)


def test_the_token_of_an_impersonated_account_is_fetched_once_for_many_calls(
    impersonating: calculator_pb2_grpc.CalculatorStub, recorder: Recorder, google: GoogleApis
) -> None:
    calls = [impersonating.Calculate.future(REQUEST, timeout=timeouts.SECONDS) for _ in range(100)]
    assert {call.result().result for call in calls} == {5}
    assert google.issued == [IssuedToken(ROBOT, ROBOT), IssuedToken(ROBOT, ACCOUNT, AUDIENCE)]
    assert len(recorder.tokens()) == 100


def test_a_valid_token_is_sent_while_google_cannot_be_reached(
    impersonating: calculator_pb2_grpc.CalculatorStub,
    recorder: Recorder,
    google: GoogleApis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # This is more than the lifetime of a token, so each call asks for a new one.
    monkeypatch.setattr(identity, "_EARLY", dt.timedelta(hours=2))
    assert impersonating.Calculate(REQUEST, timeout=timeouts.SECONDS).result == 5
    google.hosts.clear()
    assert impersonating.Calculate(REQUEST, timeout=timeouts.SECONDS).result == 5
    assert set(google.unexpected_hosts) == {"iamcredentials.googleapis.com:443"}
    google.unexpected_hosts.clear()
    assert len(set(recorder.tokens())) == 1


@pytest.fixture
def gcloud(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that installs a shell script as gcloud, and returns a PATH with it."""

    def install(script: str) -> str:
        program = tmp_path / "gcloud"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        return f"{tmp_path}:{os.environ['PATH']}"

    return install


def test_gcloud_user_tokens_have_gclouds_own_audience(
    run: Run, recorder: Recorder, ca_cert: Path, gcloud: Callable[[str], str]
) -> None:
    token = Issuer().token("32555940559.apps.googleusercontent.com")
    path = gcloud(f'case "$*" in *--audiences*) echo "Invalid account Type" >&2; exit 1 ;; *) echo {token} ;; esac')
    options = ["--target", f"localhost:{recorder.tls_port}", "--ca-cert", str(ca_cert), "--auth", "identity-token"]
    output, error = run(*options, "calc", "2", "+", "3", PATH=path)
    assert (output, error) == ("5\n", "")
    assert recorder.tokens() == [token]


def test_gcloud_without_a_login_is_an_error_that_says_how_to_log_in(
    recorder: Recorder, cloud: Run, gcloud: Callable[[str], str]
) -> None:
    path = gcloud("echo 'ERROR: no active account' >&2; exit 1")
    _, error = cloud("--auth", "identity-token", PATH=path)
    assert "ERROR: no active account" in error
    assert "gcloud auth login" in error
    assert recorder.seen == []
    # With auto, a public service is still called, without a token.
    assert cloud(PATH=path) == ["5\n", ""]
    assert recorder.tokens() == [""]


def test_gcloud_may_take_longer_than_the_timeout_of_a_call(
    recorder: Recorder, cloud: Run, gcloud: Callable[[str], str]
) -> None:
    seconds = 2 * timeouts.SLOWDOWN
    path = gcloud(f"sleep {seconds + 0.5}; echo {Issuer().token(SERVICE)}")
    assert cloud(f"--timeout={seconds}", PATH=path) == ["5\n", ""]
    assert len(recorder.tokens()) == 1
