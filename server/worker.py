"""One process that serves until it receives a signal to stop."""

import logging
import signal
from collections.abc import Callable

from server.process import deferred_imports

with deferred_imports.deferring_unused():
    import grpc

    from server import app
    from server.config import Config
    from server.process.sockets import ReservedPort

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_LOGGER = logging.getLogger("server")


def serve(
    settings: Config,
    add_services: Callable[[grpc.Server], None],
    shared: ReservedPort | None = None,
    started: Callable[[str], None] = lambda addresses: _LOGGER.info("Listening on %s", addresses),
) -> None:
    """Serve until a signal, then drain; a second signal ends the process at once.

    Args:
        settings: the configuration of the server.
        add_services: adds further services to the server.
        shared: the port, if other processes listen on it too.
        started: called with the addresses once the server has started.

    Raises:
        ConfigError: an OTEL_ environment variable is invalid.
        HostError: a host is not a name or an address of this machine.
        ListenError: the server cannot listen on the port.
    """
    running = app.build(settings, shared)
    add_services(running.server)
    running.server.start()
    started(running.address)
    received = signal.Signals(signal.sigwait(_STOP_SIGNALS))
    # A worker of a supervisor may receive signals from several senders. Only the supervisor decides when to kill it.
    if not shared:
        _LOGGER.info("Stopping on %s: calls in flight have %g s to finish", received.name, settings.shutdown_grace)
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    running.drain(settings.shutdown_grace, settings.shutdown_delay)
    if not shared:
        _LOGGER.info("Stopped")
