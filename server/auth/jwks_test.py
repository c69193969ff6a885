"""Keys that change, that cannot be had, and that do not come."""

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
    """Return whether a key is there by and by; while it is being fetched that cannot be told."""
    try:
        return keys.find(_id(issuer)) is not None
    except UnavailableError:
        return False


def test_a_new_key_is_fetched_when_it_is_first_named_and_an_old_one_is_forgotten() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, pause=0)
        assert _has(keys, OLD)
        server.serve_keys_of(NEW)
        assert _has(keys, OLD)
        assert _has(keys, NEW)
        assert not _has(keys, OLD)


def test_keys_that_are_no_longer_fresh_are_fetched_beside_those_who_ask() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, fresh=0, pause=0)
        assert _has(keys, OLD)
        server.serve_keys_of(NEW)
        programs.eventually(lambda: not _has(keys, OLD))
        assert _has(keys, NEW)


def test_keys_that_there_are_not_are_not_asked_for_again_and_again() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url)
        for _ in range(50):
            assert not _has(keys, NEW)
        assert server.asked == 1


NO_KEYS = {
    "an error": (500, ""),
    "somewhere else": (302, ""),
    "no JSON": (200, "<html>"),
    "no set": (200, "[]"),
    "none": (200, '{"keys": []}'),
    "none with an id": (200, OLD.keys().replace('"kid"', '"id"')),
    "none for signatures of this kind": (200, OLD.keys().replace("RS256", "RS512")),
    "nonsense": (200, OLD.keys().replace('"RS256"', '["RS256"]')),
    "too deep": (200, "[" * 100_000),
    "too much": (200, OLD.keys() + " " * 2_000_000),
}


@pytest.mark.parametrize("answer", NO_KEYS.values(), ids=NO_KEYS)
def test_while_they_cannot_be_had_those_of_before_are_good(answer: tuple[int, str]) -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, fresh=0, pause=0)
        assert _has(keys, OLD)
        server.answer = answer
        asked = server.asked
        for more in (1, 2, 3):
            programs.eventually(lambda more=more: _has(keys, OLD) and server.asked > asked + more)  # type: ignore[misc]
        server.serve_keys_of(NEW)
        programs.eventually(lambda: _has(keys, NEW))


def test_while_they_do_not_come_one_of_those_who_ask_waits_and_nobody_for_a_key_that_is_known() -> None:
    with JwksServer(OLD) as server:
        keys = Keys(server.url, pause=0)
        assert _has(keys, OLD)
        server.gate.clear()
        waiting = threading.Thread(target=keys.find, args=("made up",))
        waiting.start()
        programs.eventually(lambda: server.asked > 1)
        with pytest.raises(UnavailableError):
            keys.find("made up, too")
        assert _has(keys, OLD)
        assert waiting.is_alive()
        server.gate.set()
        waiting.join()


def test_where_there_never_were_any_that_is_said() -> None:
    with JwksServer() as server:
        keys = Keys(server.url)
        for _ in range(3):
            with pytest.raises(UnavailableError):
                keys.find(_id(OLD))
        assert server.asked == 1
