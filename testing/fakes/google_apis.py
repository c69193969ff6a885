"""Fakes of Google's token endpoints, under their real host names: a proxy that serves them and refuses other hosts.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
"""

import contextlib
import json
import re
import secrets
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.loopback_server import LoopbackServer, QuietHandler

_OAUTH2, _STS, _IAM = _HOSTS = ("oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com")
_TOKEN_URI = f"https://{_OAUTH2}/token"
_EXCHANGE = f"https://{_STS}/v1/token"
_ACCOUNTS = f"https://{_IAM}/v1/projects/-/serviceAccounts/"
_PROVIDER = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider"
_URN = "urn:ietf:params:oauth:"
_SCOPES = {"https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/iam"}
_LIFETIME_SECONDS = 3600

PERSON, WORKLOAD, ROBOT = "ada@example.com", "a workload outside Google Cloud", "robot@project.iam.gserviceaccount.com"
OTHER_ACCOUNT = "other@project.iam.gserviceaccount.com"
# gcloud's OAuth client id in the credentials that `gcloud auth application-default login` writes.
_GCLOUD = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"

_Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class IssuedToken:
    """A token that the fake issued.

    Attributes:
        caller: the person, service account or workload that requested the token.
        account: the account that the token authenticates.
        audience: the audience of an identity token; empty for an access token.
    """

    caller: str
    account: str
    audience: str = ""


class _RefusedError(Exception):
    """A request is refused. Its arguments are the HTTP status and IAM's name for the error."""


class GoogleApis(LoopbackServer):
    """A server for the endpoints, which know a person, a service account with a key, and a workload.

    Args:
        folder: where to write the certificates and the credentials of the workload.

    Attributes:
        issued: the tokens that were issued, in order.
        hosts: the host names that the proxy serves.
        unexpected_hosts: other host names that were requested.
        ca_cert: the certificate that clients have to trust.
        allowed_impersonations: the allowed impersonations, as (caller, account). As in IAM, an account may not
            impersonate itself by default.
        secrets: texts that must not appear in any output.
    """

    def __init__(self, folder: Path) -> None:
        """Bind a port and write the certificates."""
        super().__init__(_Proxy)
        self.ca_cert, certificate, key = CertificateAuthority(_HOSTS).write(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.issued: list[IssuedToken] = []
        self.hosts = list(_HOSTS)
        self.unexpected_hosts: list[str] = []
        self.allowed_impersonations = {
            (PERSON, ACCOUNT),
            (WORKLOAD, ACCOUNT),
            (ROBOT, ACCOUNT),
            (ACCOUNT, OTHER_ACCOUNT),
        }
        self._issuer = Issuer()
        self._bearers: dict[str, str] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self._login = {"client_id": _GCLOUD} | {
            name: secrets.token_urlsafe() for name in ("client_secret", "refresh_token")
        }
        self._subject_token = secrets.token_urlsafe()
        self._subject_token_file = folder / "subject_token"
        self._subject_token_file.write_text(self._subject_token, encoding="utf-8")
        self.secrets = [self._login["refresh_token"], self._subject_token, *self._pem.splitlines()[1:-1]]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a program's HTTPS requests here. gRPC reads only the lowercase `https_proxy`."""
        return {
            "https_proxy": f"http://{self.host}",
            "REQUESTS_CA_BUNDLE": str(self.ca_cert),
            "SSL_CERT_FILE": str(self.ca_cert),  # for Go
        }

    def login_of_person(self) -> _Json:
        """Return the credentials that `gcloud auth application-default login` writes."""
        return {"type": "authorized_user", "account": "", "universe_domain": "googleapis.com"} | self._login

    def login_of_person_as_account(self) -> _Json:
        """Return the credentials that the same command writes with `--impersonate-service-account`."""
        return {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": f"{_ACCOUNTS}{ACCOUNT}:generateAccessToken",
            "source_credentials": self.login_of_person(),
            "delegates": [],
        }

    def key_of_robot(self) -> _Json:
        """Return the key file of the service account."""
        return {"type": "service_account", "client_email": ROBOT, "private_key": self._pem, "token_uri": _TOKEN_URI}

    def workload(self) -> _Json:
        """Return the credentials that `gcloud iam workload-identity-pools create-cred-config` writes."""
        return {
            "type": "external_account",
            "audience": _PROVIDER,
            "subject_token_type": f"{_URN}token-type:jwt",
            "token_url": _EXCHANGE,
            "credential_source": {"file": str(self._subject_token_file)},
        }

    def workload_as_account(self) -> _Json:
        """Return the credentials that the same command writes with `--service-account`."""
        return self.workload() | {"service_account_impersonation_url": f"{_ACCOUNTS}{ACCOUNT}:generateAccessToken"}

    def answer(self, url: str, authorization: str, body: str) -> _Json:
        """Answer a POST request.

        Raises:
            _RefusedError: the endpoint does not exist, or does not allow the request.
            KeyError, ValueError, jwt.InvalidTokenError: the request is malformed.
        """
        if url == _TOKEN_URI:
            return self._token(dict(parse_qsl(body, strict_parsing=True)))
        if url == _EXCHANGE:
            return self._exchange(dict(parse_qsl(body, strict_parsing=True)))
        if found := re.fullmatch(rf"{_ACCOUNTS}([^/:]+):(generateAccessToken|generateIdToken)", url):
            caller = self._bearers.get(authorization.removeprefix("Bearer "))
            if not caller:
                raise _RefusedError(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED")
            if (caller, found[1]) not in self.allowed_impersonations:
                raise _RefusedError(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED")
            return self._of_account(caller, found[1], found[2], json.loads(body))
        raise _RefusedError(HTTPStatus.NOT_FOUND, "NOT_FOUND")

    def _token(self, form: dict[str, str]) -> _Json:
        if form["grant_type"] == "refresh_token":
            _check({name: form[name] for name in self._login} == self._login)
            return self._bearer(PERSON, PERSON)
        _check(form["grant_type"] == f"{_URN}grant-type:jwt-bearer")
        key = self._key.public_key()
        claims = jwt.decode(form["assertion"], key, algorithms=["RS256"], audience=_TOKEN_URI, issuer=ROBOT)
        if "target_audience" in claims:
            return {"id_token": self._identity(ROBOT, ROBOT, claims["target_audience"])}
        _check(set(claims["scope"].split()) <= _SCOPES)
        return self._bearer(ROBOT, ROBOT)

    def _exchange(self, form: dict[str, str]) -> _Json:
        _check(form["grant_type"] == f"{_URN}grant-type:token-exchange")
        _check(form["requested_token_type"] == f"{_URN}token-type:access_token")
        _check((form["audience"], form["subject_token_type"]) == (_PROVIDER, f"{_URN}token-type:jwt"))
        _check(form["subject_token"] == self._subject_token)
        _check(set(form["scope"].split()) <= _SCOPES)
        return self._bearer(WORKLOAD, WORKLOAD) | {"issued_token_type": form["requested_token_type"]}

    def _of_account(self, caller: str, account: str, method: str, body: _Json) -> _Json:
        if method == "generateIdToken":
            _check(body["includeEmail"] is True)  # Cloud Run identifies the account by its email
            return {"token": self._identity(caller, account, body["audience"])}
        _check(set(body["scope"]) <= _SCOPES)
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _LIFETIME_SECONDS))
        return {"accessToken": self._bearer(caller, account)["access_token"], "expireTime": end}

    def _bearer(self, caller: str, account: str) -> _Json:
        token = secrets.token_urlsafe()
        self._bearers[token] = account
        self.secrets.append(token)
        self.issued.append(IssuedToken(caller, account))
        return {"access_token": token, "expires_in": _LIFETIME_SECONDS, "token_type": "Bearer"}

    def _identity(self, caller: str, account: str, audience: str) -> str:
        token = self._issuer.token(audience, email=account, sub=account, azp=account)
        self.secrets.append(token)
        self.issued.append(IssuedToken(caller, account, audience))
        return token


def _check(is_right: bool) -> None:  # noqa: FBT001
    if not is_right:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT")


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: GoogleApis


class _Proxy(_Handler):
    def do_CONNECT(self) -> None:
        if self.path not in [f"{host}:443" for host in self.server.hosts]:
            self.server.unexpected_hosts.append(self.path)
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.close_connection = True
        with (
            contextlib.suppress(OSError),  # the client may disconnect after the answer
            self.server.context.wrap_socket(self.connection, server_side=True) as connection,
        ):
            _Endpoints(connection, self.client_address, self.server)


class _Endpoints(_Handler):
    def do_GET(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        url = f"https://{self.headers['Host']}{self.path}"
        try:
            self._answer(HTTPStatus.OK, self.server.answer(url, self.headers.get("Authorization", ""), body))
        except _RefusedError as refused:
            status, name = refused.args
            error = {"code": status, "message": f"{status.phrase}: {self.path}", "status": name}
            self._answer(status, {"error": error} if self.headers["Host"] == _IAM else {"error": "invalid_grant"})
        except (KeyError, ValueError, jwt.InvalidTokenError) as wrong:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "invalid_request", "error_description": repr(wrong)})

    def _answer(self, status: HTTPStatus, answer: _Json) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
