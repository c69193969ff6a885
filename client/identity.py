"""Identity tokens, by which Cloud Run knows who calls it, from whatever credentials there are.

https://cloud.google.com/run/docs/authenticating/service-to-service
"""

import datetime as dt
import os
import shutil
import subprocess
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import google.auth
from google.auth import compute_engine, environment_vars, exceptions, external_account, impersonated_credentials, jwt
from google.auth.credentials import Credentials, Signing, with_scopes_if_required
from google.auth.transport import Request
from google.oauth2 import id_token

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_GCLOUD_PATIENCE_SECONDS = 30

# https://cloud.google.com/compute/docs/metadata/querying-metadata
_NOT_PROXIED = ("localhost", "127.0.0.1", "::1", "metadata.google.internal", "169.254.169.254")

# A token lives for an hour. A new one is fetched this long before its end, while the old one is still good for others.
_EARLY = dt.timedelta(minutes=5)


class NoTokenError(Exception):
    """There is no identity token to be had; the message says where one was looked for, and what to do."""


@dataclass(frozen=True)
class Token:
    """An identity token.

    Attributes:
        value: what is sent. A secret: whoever has it is taken for the caller.
        expiry: until when, in UTC.
    """

    value: str
    expiry: dt.datetime

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Token(expiry={self.expiry})"

    def ends_within(self, time: dt.timedelta) -> bool:
        """Return whether it ends within a time from now, or has ended."""
        return dt.datetime.now(dt.UTC) + time >= self.expiry


class Source(Protocol):
    """Where tokens come from, for one audience."""

    def fetch(self) -> Token:
        """Fetch a new token.

        Raises:
            NoTokenError: there is none.
        """


class GoogleAuth:
    """Tokens by google-auth: of the metadata server, a service account's key, or an account that is impersonated."""

    def __init__(self, credentials: Credentials, request: Request) -> None:
        """Fetch nothing yet."""
        self._credentials = credentials
        self._request = request

    def fetch(self) -> Token:
        """See Source."""
        try:
            self._credentials.refresh(self._request)
        except (exceptions.GoogleAuthError, OSError) as error:  # what requests raises is the latter
            raise NoTokenError(f"no identity token was given: {_said(error)}") from error
        token, expiry = self._credentials.token, self._credentials.expiry
        if not token or not expiry:
            raise NoTokenError("what was given for an identity token has no end")
        return Token(token, expiry.replace(tzinfo=dt.UTC))


class Gcloud:
    """Tokens of the person, or the service account, that gcloud is logged in as."""

    def __init__(self, audience: str) -> None:
        """Fetch nothing yet."""
        self._audience = audience

    def fetch(self) -> Token:
        """See Source."""
        # A service account's token is for an audience; a person's is for gcloud itself, which Cloud Run takes as well.
        value = self._print(f"--audiences={self._audience}") or self._print()
        try:
            claims = jwt.decode(value, verify=False)
            return Token(value, dt.datetime.fromtimestamp(claims["exp"], dt.UTC))
        except (ValueError, KeyError) as error:
            raise NoTokenError("gcloud printed something that is no identity token") from error

    @staticmethod
    def _print(*options: str) -> str:
        """Return a token; nothing, if gcloud has none with an audience."""
        command = ["gcloud", "auth", "print-identity-token", *options]
        try:
            printed = subprocess.run(
                command, capture_output=True, text=True, timeout=_GCLOUD_PATIENCE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoTokenError(f"gcloud does not answer: {error}") from error
        if printed.returncode and not options:
            said = printed.stderr.strip().splitlines() or ["no reason given"]
            raise NoTokenError(f"gcloud has no identity token ({said[0]}); log in by gcloud auth login")
        return "" if printed.returncode else printed.stdout.strip()


def find(audience: str, impersonate: str = "") -> Source:
    """Return where tokens for an audience come from.

    In this order: the account to impersonate; the file that GOOGLE_APPLICATION_CREDENTIALS names; on Google Cloud, the
    metadata server; gcloud.

    Args:
        audience: whom the tokens are for: the URL of a service, with https:// and without a port.
        impersonate: the e-mail address of a service account which the credentials that there are may impersonate.

    Raises:
        NoTokenError: there are no credentials that tokens can be had for.
    """
    import requests  # noqa: PLC0415 - a tenth of a second, only for those who need it
    from google.auth.transport.requests import Request as Http  # noqa: PLC0415

    session = requests.Session()
    # "" overrides the proxy of the environment: neither this machine nor the metadata server is reached by one.
    hosts = (*_NOT_PROXIED, os.environ.get(environment_vars.GCE_METADATA_HOST, "").partition(":")[0])
    session.proxies = {f"http://{host}": "" for host in hosts if host}
    request = Http(session)
    try:
        if impersonate:
            return GoogleAuth(_impersonated(_default(request), impersonate, audience), request)
        if file := os.environ.get(environment_vars.CREDENTIALS):
            return GoogleAuth(_of_file(file, audience, request), request)
        if is_on_google_cloud():
            of_machine = compute_engine.IDTokenCredentials(request, audience, use_metadata_identity_endpoint=True)
            return GoogleAuth(of_machine, request)
        if shutil.which("gcloud"):
            return Gcloud(audience)  # a laptop would wait for a metadata server until its patience ends
        return GoogleAuth(id_token.fetch_id_token_credentials(audience, request=request), request)
    except (exceptions.GoogleAuthError, OSError) as error:
        raise NoTokenError(
            f"no credentials for an identity token: {_said(error)} Log in by gcloud auth login, or name a key in"
            f" {environment_vars.CREDENTIALS}"
        ) from error


def _said(error: Exception) -> str:
    """Return in one line what an error says; google-auth adds objects to what is for people."""
    return " ".join(str(error.args[0] if isinstance(error, exceptions.GoogleAuthError) else error).split())


def is_on_google_cloud() -> bool:
    """Return whether this is Google Cloud, as far as the environment says."""
    return bool(os.environ.get("K_SERVICE") or os.environ.get(environment_vars.GCE_METADATA_HOST))


def _default(request: Request) -> Credentials:
    # It is not told of scopes yet: with them it would ask for the project of a federated identity, which needs a right.
    credentials, _ = google.auth.default(request=request)
    scoped: Credentials = with_scopes_if_required(credentials, _SCOPES)
    return scoped


def _impersonated(source: Credentials, account: str, audience: str) -> Credentials:
    if isinstance(source, external_account.Credentials) and source.service_account_email == account:
        source = _itself(source)
    target = impersonated_credentials.Credentials(source, target_principal=account, target_scopes=_SCOPES)
    return impersonated_credentials.IDTokenCredentials(target, target_audience=audience, include_email=True)


def _itself(federated: external_account.Credentials) -> Credentials:
    """Return a federated identity that impersonates nobody: IAM lets it have the account's tokens, not the account."""
    impersonation = "service_account_impersonation"
    info = {name: value for name, value in federated.info.items() if not name.startswith(impersonation)}
    itself: Credentials = type(federated).from_info(info, scopes=_SCOPES)
    return itself


def _of_file(file: str, audience: str, request: Request) -> Credentials:
    """Return what a file of credentials gives: google-auth knows them all but those of workload identity federation."""
    credentials = _default(request)  # which looks into that file before all else
    if isinstance(credentials, external_account.Credentials):
        if not credentials.service_account_email:
            raise exceptions.DefaultCredentialsError(
                f"{file} is of a federated identity that impersonates no service account; only those have tokens."
            )
        return _impersonated(credentials, credentials.service_account_email, audience)
    if not isinstance(credentials, Signing):
        raise exceptions.DefaultCredentialsError(
            f"{file} is of a person, not of a service account; only those have tokens: impersonate one."
        )
    of_file: Credentials = id_token.fetch_id_token_credentials(audience, request=request)
    return of_file


class Tokens:
    """The current token of a source, for any number of threads."""

    def __init__(self, source: Source) -> None:
        """Fetch nothing yet."""
        self._source = source
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._coming: Future[Token] | None = None

    def get(self) -> Token:
        """Return a token that is good for now; fetch it if need be, once for all who ask meanwhile.

        Raises:
            NoTokenError: there is none, and the last one is over.
        """
        with self._lock:
            token, coming = self._token, self._coming
            if token and not token.ends_within(_EARLY):
                return token
            if not coming:
                self._coming = Future()
        if not coming:
            return self._fetch()
        # Who has a token that still holds does not wait for the next one.
        return token if token and not token.ends_within(dt.timedelta()) else coming.result()

    def _fetch(self) -> Token:
        coming, token = self._coming, self._token
        assert coming  # noqa: S101 - get has just made it
        try:
            fetched = self._source.fetch()
        except Exception as error:
            if isinstance(error, NoTokenError) and token and not token.ends_within(dt.timedelta()):
                fetched = token  # the next call tries again
            else:
                with self._lock:
                    self._coming = None
                coming.set_exception(error)
                raise
        with self._lock:
            self._token, self._coming = fetched, None
        coming.set_result(fetched)
        return fetched
