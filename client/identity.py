"""Identity tokens, with which Cloud Run authenticates callers, from the available credentials.

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
_GCLOUD_TIMEOUT_SECONDS = 30

# https://cloud.google.com/compute/docs/metadata/querying-metadata
_NOT_PROXIED = ("localhost", "127.0.0.1", "::1", "metadata.google.internal", "169.254.169.254")

# A token is valid for an hour. A new one is fetched this long before it expires; other calls use the old one meanwhile.
_EARLY = dt.timedelta(minutes=5)


class NoTokenError(Exception):
    """No identity token is available; the message says what was tried, and what to do."""


@dataclass(frozen=True)
class Token:
    """An identity token.

    Attributes:
        value: the encoded token. It is a secret: anyone who has it can call as its account.
        expiry: when the token expires, in UTC.
    """

    value: str
    expiry: dt.datetime

    def __repr__(self) -> str:
        """Describe the token without its value, which is a secret."""
        return f"Token(expiry={self.expiry})"

    def ends_within(self, time: dt.timedelta) -> bool:
        """Return whether the token expires within a time from now, or has expired."""
        return dt.datetime.now(dt.UTC) + time >= self.expiry


class Source(Protocol):
    """A source of tokens for one audience."""

    def fetch(self) -> Token:
        """Fetch a new token.

        Raises:
            NoTokenError: no token is available.
        """


class GoogleAuth:
    """Tokens from google-auth: from the metadata server, by a service account's key, or by impersonation."""

    def __init__(self, credentials: Credentials, request: Request) -> None:
        """Do not fetch a token yet."""
        self._credentials = credentials
        self._request = request

    def fetch(self) -> Token:
        """See Source."""
        try:
            self._credentials.refresh(self._request)
        except (exceptions.GoogleAuthError, OSError) as error:  # requests raises OSError
            raise NoTokenError(f"cannot fetch an identity token: {_text(error)}") from error
        token, expiry = self._credentials.token, self._credentials.expiry
        if not token or not expiry:
            raise NoTokenError("google-auth returned no identity token, or one without an expiry")
        return Token(token, expiry.replace(tzinfo=dt.UTC))


class Gcloud:
    """Tokens from gcloud, for the user or the service account that is logged in."""

    def __init__(self, audience: str) -> None:
        """Do not fetch a token yet."""
        self._audience = audience

    def fetch(self) -> Token:
        """See Source."""
        # gcloud accepts an audience only for a service account. A user's token is for gcloud's own audience, which
        # Cloud Run accepts too.
        value = self._print(f"--audiences={self._audience}") or self._print()
        try:
            claims = jwt.decode(value, verify=False)
            return Token(value, dt.datetime.fromtimestamp(claims["exp"], dt.UTC))
        except (ValueError, KeyError) as error:
            raise NoTokenError("gcloud printed something that is not an identity token") from error

    @staticmethod
    def _print(*options: str) -> str:
        """Return the token that gcloud prints; an empty string if it refuses the options."""
        command = ["gcloud", "auth", "print-identity-token", *options]
        try:
            printed = subprocess.run(
                command, capture_output=True, text=True, timeout=_GCLOUD_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoTokenError(f"gcloud failed: {error}") from error
        if printed.returncode and not options:
            reasons = printed.stderr.strip().splitlines() or ["no reason given"]
            raise NoTokenError(f"gcloud has no identity token ({reasons[0]}); run gcloud auth login")
        return "" if printed.returncode else printed.stdout.strip()


def find(audience: str, impersonate: str = "") -> Source:
    """Return the source of tokens for an audience.

    In order of precedence: the account to impersonate; the file in GOOGLE_APPLICATION_CREDENTIALS; on Google Cloud, the
    metadata server; gcloud.

    Args:
        audience: the audience of the tokens: the URL of a service, with https:// and without a port.
        impersonate: the e-mail address of a service account that the available credentials may impersonate; or empty.

    Raises:
        NoTokenError: no credentials that can get tokens are available.
    """
    import requests  # noqa: PLC0415 - importing it takes 0.1 s
    from google.auth.transport.requests import Request as Http  # noqa: PLC0415

    session = requests.Session()
    # "" overrides a proxy from the environment, which cannot reach this machine or the metadata server.
    hosts = (*_NOT_PROXIED, os.environ.get(environment_vars.GCE_METADATA_HOST, "").partition(":")[0])
    session.proxies = {f"http://{host}": "" for host in hosts if host}
    request = Http(session)
    try:
        if impersonate:
            return GoogleAuth(_impersonated(_default(request), impersonate, audience), request)
        if file := os.environ.get(environment_vars.CREDENTIALS):
            return GoogleAuth(_file_credentials(file, audience, request), request)
        if is_on_google_cloud():
            of_instance = compute_engine.IDTokenCredentials(request, audience, use_metadata_identity_endpoint=True)
            return GoogleAuth(of_instance, request)
        if shutil.which("gcloud"):
            return Gcloud(audience)  # google-auth would first wait for a metadata server, which a laptop does not have
        return GoogleAuth(id_token.fetch_id_token_credentials(audience, request=request), request)
    except (exceptions.GoogleAuthError, OSError) as error:
        raise NoTokenError(
            f"no credentials for an identity token: {_text(error)} Run gcloud auth login, or set"
            f" {environment_vars.CREDENTIALS} to a key file"
        ) from error


def _text(error: Exception) -> str:
    """Return the text of an error in one line, without the objects that google-auth adds to it."""
    return " ".join(str(error.args[0] if isinstance(error, exceptions.GoogleAuthError) else error).split())


def is_on_google_cloud() -> bool:
    """Return whether the environment variables are those of Google Cloud."""
    return bool(os.environ.get("K_SERVICE") or os.environ.get(environment_vars.GCE_METADATA_HOST))


def _default(request: Request) -> Credentials:
    # Scopes are added afterwards: with them, google-auth would look up a federated identity's project, which requires a
    # permission.
    credentials, _ = google.auth.default(request=request)
    scoped: Credentials = with_scopes_if_required(credentials, _SCOPES)
    return scoped


def _impersonated(source: Credentials, account: str, audience: str) -> Credentials:
    if isinstance(source, external_account.Credentials) and source.service_account_email == account:
        source = _without_impersonation(source)
    target = impersonated_credentials.Credentials(source, target_principal=account, target_scopes=_SCOPES)
    return impersonated_credentials.IDTokenCredentials(target, target_audience=audience, include_email=True)


def _without_impersonation(federated: external_account.Credentials) -> Credentials:
    """Return a federated identity that does not impersonate its account.

    IAM lets the federated identity create tokens for the account; by default, an account may not create tokens for
    itself.
    """
    impersonation = "service_account_impersonation"
    info = {name: value for name, value in federated.info.items() if not name.startswith(impersonation)}
    direct: Credentials = type(federated).from_info(info, scopes=_SCOPES)
    return direct


def _file_credentials(file: str, audience: str, request: Request) -> Credentials:
    """Return the credentials of a file. google-auth cannot get tokens with those of workload identity federation."""
    credentials = _default(request)  # which reads that file first
    if isinstance(credentials, external_account.Credentials):
        if not credentials.service_account_email:
            raise exceptions.DefaultCredentialsError(
                f"{file} is for a federated identity, which must impersonate a service account to get identity tokens."
            )
        return _impersonated(credentials, credentials.service_account_email, audience)
    if not isinstance(credentials, Signing):
        raise exceptions.DefaultCredentialsError(
            f"{file} is for a user, who must impersonate a service account to get identity tokens for an audience."
        )
    account: Credentials = id_token.fetch_id_token_credentials(audience, request=request)
    return account


class Tokens:
    """A thread-safe cache of the current token of a source."""

    def __init__(self, source: Source) -> None:
        """Do not fetch a token yet."""
        self._source = source
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._pending: Future[Token] | None = None

    def get(self) -> Token:
        """Return a valid token; if necessary, fetch one, once for all threads that need it.

        Raises:
            NoTokenError: no new token is available, and the last one has expired.
        """
        with self._lock:
            token, pending = self._token, self._pending
            if token and not token.ends_within(_EARLY):
                return token
            if not pending:
                self._pending = Future()
        if not pending:
            return self._fetch()
        # Another thread is fetching the next token. Wait for it only if the current one has expired.
        return token if token and not token.ends_within(dt.timedelta()) else pending.result()

    def _fetch(self) -> Token:
        pending, token = self._pending, self._token
        assert pending  # noqa: S101 - `get` has just created it
        try:
            fetched = self._source.fetch()
        except Exception as error:
            if isinstance(error, NoTokenError) and token and not token.ends_within(dt.timedelta()):
                fetched = token  # the next call tries again
            else:
                with self._lock:
                    self._pending = None
                pending.set_exception(error)
                raise
        with self._lock:
            self._token, self._pending = fetched, None
        pending.set_result(fetched)
        return fetched
