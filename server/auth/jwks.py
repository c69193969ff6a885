"""The keys that an issuer signs identity tokens with: fetched beside the calls, kept, and changed when they change.

PyJWT's own client has callers fetch them in turn, under a lock: while the issuer is slow, everybody is.
"""

import logging
import threading
import time
import urllib.request
from typing import NoReturn

from jwt import PyJWK, PyJWKSet

ALGORITHM = "RS256"

_LOGGER = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5
_KEEP_SECONDS = 24 * 3600
_MOST_BYTES = 1024 * 1024


class UnavailableError(Exception):
    """It cannot be told now whether there is such a key."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: another place may be anybody's, or without TLS."""

    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""


class Keys:
    """The keys of an issuer, by their ids.

    They are fetched by a thread of their own: at once, when they are no longer fresh, and when somebody names one that
    is not among them. While that fails, those that could be had within the last day are good.

    Args:
        url: where they are, as a JSON Web Key Set (RFC 7517).
        fresh: for how long they are, in seconds.
        pause: how long it takes at least from one attempt to fetch them to the next, in seconds.
    """

    def __init__(self, url: str, fresh: float = 300, pause: float = 10) -> None:
        """Begin to fetch them, and wait for nothing."""
        self._url = url
        self._fresh = fresh
        self._pause = pause
        self._keys: dict[str, PyJWK] = {}
        self._had = self._tried = -float("inf")
        self._lock = threading.Lock()
        self._fetched = threading.Event()
        self._fetched.set()
        self._begin()

    def find(self, key_id: str) -> PyJWK | None:
        """Return a key; None if the issuer has no such key.

        Whoever is the first to ask for a key that is not known waits for the fetch. Others do so only where there are
        no keys at all: made-up ids are no way to have everybody wait.

        Raises:
            UnavailableError: there are no keys; or it is just being fetched what there is.
        """
        known = self._known()
        if key_id in known:
            if time.monotonic() > self._had + self._fresh:
                self._begin()
            return known[key_id]
        if self._begin() or not known:
            self._fetched.wait(_PATIENCE_SECONDS)
            known = self._known()
        if not known or (key_id not in known and not self._fetched.is_set()):
            raise UnavailableError
        return known.get(key_id)

    def _known(self) -> dict[str, PyJWK]:
        return self._keys if time.monotonic() < self._had + _KEEP_SECONDS else {}

    def _begin(self) -> bool:
        """Begin to fetch them, unless somebody has done so a moment ago; return whether it was begun."""
        with self._lock:
            if not self._fetched.is_set() or time.monotonic() < self._tried + self._pause:
                return False
            self._tried = time.monotonic()
            self._fetched.clear()
        threading.Thread(target=self._fetch, name="keys", daemon=True).start()
        return True

    def _fetch(self) -> None:
        try:
            keys = PyJWKSet.from_json(self._read().decode()).keys
            usable = {key.key_id: key for key in keys if key.key_id and key.algorithm_name == ALGORITHM}
            if not usable:
                _fail(f"there is none for {ALGORITHM}")
            self._keys, self._had = usable, time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with them, those of before are better than none
            _LOGGER.warning("The keys at %s cannot be had: %s", self._url, error)
        finally:
            self._fetched.set()

    def _read(self) -> bytes:
        ends = time.monotonic() + _PATIENCE_SECONDS
        read = b""
        with urllib.request.build_opener(_NoRedirects()).open(self._url, timeout=_PATIENCE_SECONDS) as response:
            while part := response.read1(_MOST_BYTES):
                read += part
                if len(read) > _MOST_BYTES:
                    _fail(f"they are larger than {_MOST_BYTES} bytes")
                if time.monotonic() > ends:
                    _fail(f"it takes longer than {_PATIENCE_SECONDS} s")
        return read


def _fail(reason: str) -> NoReturn:
    raise ValueError(reason)
