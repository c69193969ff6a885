"""The program //server: serves the calculator until SIGTERM or Ctrl+C."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Block the signals before the imports and before grpc starts its threads. They stay pending until `sigwait`: no signal
# handler interrupts other code, and Ctrl+C during startup also causes a graceful shutdown.
signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)

# `bazel run` starts programs in another folder than the one in which it was typed. File names, such as those in
# OpenTelemetry's variables, are relative to the latter.
os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))

# Silence gRPC core's native log: its lines ignore our format and can echo client-controlled text. Must be set before
# `import grpc`.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from server import config  # noqa: E402
from server.observability import logs  # noqa: E402
from server.process import proxies, sockets  # noqa: E402

if TYPE_CHECKING:
    import grpc

_LOGGER = logging.getLogger("server")

_ERRORS = (config.ConfigError, sockets.HostError, sockets.ListenError)


def main(add_services: "Callable[[grpc.Server], None]" = lambda _: None) -> int:
    """Run the server.

    Args:
        add_services: adds further services to the server.

    Returns:
        The exit status: 0 after a stop signal; 1 if the server cannot listen or a worker failed; 2 if the configuration
        is invalid.
    """
    proxies.exempt_loopback(os.environ)
    try:
        settings = config.read(sys.argv[1:], os.environ)
        logs.configure(settings.log_format, settings.project)
        if settings.workers == 1:
            return _serve(settings, add_services)
        shared = sockets.ReservedPort(settings.hosts, settings.port, is_shared=True)
    except _ERRORS as error:
        return _print_error(error)
    from server.process.supervisor import Supervisor  # noqa: PLC0415 - only for several workers

    def announce() -> None:
        _LOGGER.info("Listening on %s, with %d workers", shared, settings.workers)

    def work(notify_ready: Callable[[], None]) -> int:
        return _serve(settings, add_services, shared, lambda _addresses: notify_ready())

    return Supervisor(settings.workers, work, announce).run()


def _serve(settings: config.Config, *arguments: Any) -> int:  # noqa: ANN401 - passed to worker.serve
    from server import worker  # noqa: PLC0415 - imports grpc, which must come after the setup

    try:
        worker.serve(settings, *arguments)
    except _ERRORS as error:
        return _print_error(error)
    return 0


def _print_error(error: Exception) -> int:
    print(f"server: {error}", file=sys.stderr)
    return 1 if isinstance(error, sockets.ListenError) else 2


if __name__ == "__main__":
    sys.exit(main())
