"""Fixtures: a server shared by the tests of a module, and a channel to it."""

from collections.abc import Iterator

import grpc
import pytest

from testing import programs


@pytest.fixture(scope="module")
def server() -> Iterator[programs.Server]:
    """A running server, the same for all tests of a module."""
    with programs.serving() as running:
        yield running


@pytest.fixture
def channel(server: programs.Server) -> Iterator[grpc.Channel]:
    """A channel to that server, new for each test."""
    with grpc.insecure_channel(server.address) as opened:
        yield opened
