"""The JSON Web Key Set (JWKS) of an issuer: fetches it in the background, caches it and follows key rotation.

PyJWT's own client fetches keys in the threads of callers, under a lock: while the issuer is slow, all callers wait.
"""

import logging
import threading
import time
import urllib.request
from typing import NoReturn

from jwt import PyJWK, PyJWKSet

ALGORITHM = "RS256"

_LOGGER = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 5
_MAX_AGE_SECONDS = 24 * 3600
_MAX_BYTES = 1024 * 1024


class UnavailableError(Exception):
    """The issuer's keys are not known at the moment."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: they may lead to another owner, or to a URL without TLS."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow the redirect."""


class Keys:
    """The keys of an issuer, by their IDs.

    A background thread fetches the keys: at the start, when they are no longer fresh, and when a caller asks for an
    unknown key. While fetches fail, the last keys remain valid for a day.

    Args:
        url: the URL of the JSON Web Key Set (RFC 7517).
        fresh: the age at which keys are fetched again, in seconds.
        pause: the minimum time between two attempts to fetch keys, in seconds.
    """

    def __init__(self, url: str, fresh: float = 300, pause: float = 10) -> None:
        """Start to fetch the keys, without waiting for them."""
        self._url = url
        self._fresh = fresh
        self._pause = pause
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = self._attempted_at = -float("inf")
        self._lock = threading.Lock()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._start_fetch()

    def find(self, key_id: str) -> PyJWK | None:
        """Return a key; None if the issuer does not have it.

        The first request for an unknown key starts a fetch and waits for it. Meanwhile, other requests wait only if
        there are no keys at all: a client with fake key IDs must not make all callers wait.

        Raises:
            UnavailableError: no keys have been fetched yet, or a fetch is in progress.
        """
        known = self._known()
        if key_id in known:
            if time.monotonic() > self._fetched_at + self._fresh:
                self._start_fetch()
            return known[key_id]
        if self._start_fetch() or not known:
            self._is_idle.wait(_TIMEOUT_SECONDS)
            known = self._known()
        if not known or (key_id not in known and not self._is_idle.is_set()):
            raise UnavailableError
        return known.get(key_id)

    def _known(self) -> dict[str, PyJWK]:
        return self._keys if time.monotonic() < self._fetched_at + _MAX_AGE_SECONDS else {}

    def _start_fetch(self) -> bool:
        """Start a fetch, unless one is in progress or the last was less than a pause ago. Return whether it started."""
        with self._lock:
            if not self._is_idle.is_set() or time.monotonic() < self._attempted_at + self._pause:
                return False
            self._attempted_at = time.monotonic()
            self._is_idle.clear()
        threading.Thread(target=self._fetch, name="keys", daemon=True).start()
        return True

    def _fetch(self) -> None:
        try:
            keys = PyJWKSet.from_json(self._read().decode()).keys
            usable = {key.key_id: key for key in keys if key.key_id and key.algorithm_name == ALGORITHM}
            if not usable:
                _fail(f"the response does not contain a key for {ALGORITHM}")
            self._keys, self._fetched_at = usable, time.monotonic()
        except Exception as error:  # noqa: BLE001 - on any error, the previous keys remain
            _LOGGER.warning("Cannot fetch the keys at %s: %s", self._url, error)
        finally:
            self._is_idle.set()

    def _read(self) -> bytes:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        read = b""
        with urllib.request.build_opener(_NoRedirects()).open(self._url, timeout=_TIMEOUT_SECONDS) as response:
            while chunk := response.read1(_MAX_BYTES):
                read += chunk
                if len(read) > _MAX_BYTES:
                    _fail(f"the response is larger than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    _fail(f"the response takes longer than {_TIMEOUT_SECONDS} s")
        return read


def _fail(reason: str) -> NoReturn:
    raise ValueError(reason)
