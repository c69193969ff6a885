"""One process that serves, until it is told to stop."""

import logging
import signal
from collections.abc import Callable

from server.process import deferred_imports

with deferred_imports.deferring_unused():
    import grpc

    from server import app
    from server.config import Config
    from server.process.sockets import SharedPort

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_LOGGER = logging.getLogger("server")


def serve(
    settings: Config,
    add_services: Callable[[grpc.Server], None],
    shared: SharedPort | None = None,
    started: Callable[[str], None] = lambda address: _LOGGER.info("Listening on %s", address),
) -> None:
    """Serve until a signal, then drain; a second signal ends the process at once.

    Args:
        settings: the server's.
        add_services: adds services to it, beside its own.
        shared: the port, where other processes listen on it too.
        started: is told the address, once the server answers.

    Raises:
        ConfigError: OpenTelemetry does not accept one of its variables.
        ListenError: the port cannot be had.
    """
    running = app.build(settings, shared)
    if shared:
        shared.release()
    add_services(running.server)
    running.server.start()
    started(running.address)
    received = signal.Signals(signal.sigwait(_STOP_SIGNALS))
    if not shared:  # of several, a signal may come from more than one side: when to end at once is for who keeps them
        _LOGGER.info("Stopping on %s: calls in flight have %g s to finish", received.name, settings.shutdown_grace)
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    running.drain(settings.shutdown_grace, settings.shutdown_delay)
    if not shared:
        _LOGGER.info("Stopped")
