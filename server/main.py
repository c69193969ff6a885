"""//server: serves the calculator until SIGTERM or Ctrl+C."""

import logging
import os
import signal
import sys
from collections.abc import Callable

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Blocked before anything is imported and before grpc starts its threads, the signals wait for sigwait below: no handler
# runs at an awkward moment, and Ctrl+C during the start ends it like any other.
signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)

# The core's own lines are in a format of its own, and some say what a client made up. Before it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# The thread that waits for what comes reads it too, and is not told by another: for engine.py, all the difference. What
# is done to each call is done at one go: some 5 % more calls.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener,fuse_filters")

from server import lazy  # noqa: E402

with lazy.asyncio_put_off():
    import grpc

    from server import config, logs, serving

_LOGGER = logging.getLogger("server")


def main(add_services: Callable[[grpc.Server], None] = lambda _: None) -> int:
    """Run the server.

    Args:
        add_services: adds services to it, beside its own.

    Returns:
        The exit status: 0 stopped, 1 cannot listen, 2 invalid configuration.
    """
    try:
        settings = config.read(sys.argv[1:], os.environ)
        logs.configure(settings.log_format, settings.project)
        running = serving.build(settings)
    except (config.ConfigError, serving.ListenError) as error:
        print(f"server: {error}", file=sys.stderr)
        return 2 if isinstance(error, config.ConfigError) else 1
    add_services(running.server)
    running.server.start()
    _LOGGER.info("Listening on %s", running.address)

    received = signal.Signals(signal.sigwait(_STOP_SIGNALS))
    _LOGGER.info("Stopping on %s: calls in flight have %g s to finish", received.name, settings.shutdown_grace)
    for number in _STOP_SIGNALS:  # a second signal ends it at once
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    running.drain(settings.shutdown_grace)
    _LOGGER.info("Stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
