"""Key sets that change, that cannot be fetched, and that arrive late."""

import json
import threading

import pytest

from server.auth.jwks import Keys, UnavailableError
from testing import programs
from testing.fakes.id_token_issuer import Issuer
from testing.fakes.jwks_server import JwksServer

OLD, NEW = Issuer(), Issuer()


def _id(issuer: Issuer) -> str:
    key_id: str = json.loads(issuer.keys())["keys"][0]["kid"]
    return key_id


def _has(keys: Keys, issuer: Issuer) -> bool:
    """Return whether a key is known; False while a fetch is in progress."""
    try:
        return keys.find(_id(issuer)) is not None
    except UnavailableError:
        return False


def test_a_new_key_is_fetched_at_its_first_use_and_an_old_one_is_forgotten() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, pause=0)
        assert _has(keys, OLD)
        server.serve_keys_of(NEW)
        assert _has(keys, OLD)
        assert _has(keys, NEW)
        assert not _has(keys, OLD)


def test_keys_that_are_no_longer_fresh_are_fetched_in_the_background() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, fresh=0, pause=0)
        assert _has(keys, OLD)
        server.serve_keys_of(NEW)
        programs.eventually(lambda: not _has(keys, OLD))
        assert _has(keys, NEW)


def test_an_unknown_key_is_not_fetched_repeatedly() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url)
        for _ in range(50):
            assert not _has(keys, NEW)
        assert server.request_count == 1


INVALID_RESPONSES = {
    "an error": (500, ""),
    "a redirect": (302, ""),
    "not JSON": (200, "<html>"),
    "not a key set": (200, "[]"),
    "no keys": (200, '{"keys": []}'),
    "no key with an ID": (200, OLD.keys().replace('"kid"', '"id"')),
    "no key for the algorithm": (200, OLD.keys().replace("RS256", "RS512")),
    "an invalid algorithm": (200, OLD.keys().replace('"RS256"', '["RS256"]')),
    "nested too deeply": (200, "[" * 100_000),
    "too large": (200, OLD.keys() + " " * 2_000_000),
}


@pytest.mark.parametrize("answer", INVALID_RESPONSES.values(), ids=INVALID_RESPONSES)
def test_the_previous_keys_remain_valid_while_fetches_fail(answer: tuple[int, str]) -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, fresh=0, pause=0)
        assert _has(keys, OLD)
        server.answer = answer
        asked = server.request_count
        for more in (1, 2, 3):
            programs.eventually(lambda more=more: _has(keys, OLD) and server.request_count > asked + more)  # type: ignore[misc]
        server.serve_keys_of(NEW)
        programs.eventually(lambda: _has(keys, NEW))


def test_during_a_slow_fetch_only_the_first_request_for_an_unknown_key_waits() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, pause=0)
        assert _has(keys, OLD)
        server.gate.clear()
        waiting = threading.Thread(target=keys.find, args=("unknown",))
        waiting.start()
        programs.eventually(lambda: server.request_count > 1)
        with pytest.raises(UnavailableError):
            keys.find("another unknown")
        assert _has(keys, OLD)
        assert waiting.is_alive()
        server.gate.set()
        waiting.join()


def test_keys_that_were_never_fetched_are_unavailable() -> None:
    with JwksServer() as server:
        keys = Keys(server.url)
        for _ in range(3):
            with pytest.raises(UnavailableError):
                keys.find(_id(OLD))
        assert server.request_count == 1
