"""//server: serves the calculator until SIGTERM or Ctrl+C."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Blocked before anything is imported and before grpc starts its threads, the signals wait for who asks for them: no
# handler runs at an awkward moment, and Ctrl+C during the start ends it like any other.
signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)

# Silence the native log of gRPC core: its lines ignore our format and can echo text of a client. Set before the import.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from server import config  # noqa: E402
from server.observability import logs  # noqa: E402
from server.process import proxies, sockets  # noqa: E402

if TYPE_CHECKING:
    import grpc

_LOGGER = logging.getLogger("server")


def main(add_services: "Callable[[grpc.Server], None]" = lambda _: None) -> int:
    """Run the server.

    Args:
        add_services: adds services to it, beside its own.

    Returns:
        The exit status: 0 stopped, 1 cannot listen, or its workers cannot, 2 invalid configuration.
    """
    proxies.exempt_loopback(os.environ)
    try:
        settings = config.read(sys.argv[1:], os.environ)
        logs.configure(settings.log_format, settings.project)
        if settings.workers == 1:
            return _serve(settings, add_services)
        shared = sockets.SharedPort(settings.port)
    except (config.ConfigError, sockets.ListenError) as error:
        return _complain(error)
    from server.process.supervisor import Supervisor  # noqa: PLC0415 - for who asked for it alone

    def announce() -> None:
        _LOGGER.info("Listening on %s:%d, with %d workers", shared.host, shared.port, settings.workers)

    def work(say_ready: Callable[[], None]) -> int:
        return _serve(settings, add_services, shared, lambda _address: say_ready())

    return Supervisor(settings.workers, work, announce).run()


def _serve(settings: config.Config, *arguments: Any) -> int:  # noqa: ANN401 - those of worker.serve
    from server import worker  # noqa: PLC0415 - grpc, before which much is to be done

    try:
        worker.serve(settings, *arguments)
    except (config.ConfigError, sockets.ListenError) as error:
        return _complain(error)
    return 0


def _complain(error: Exception) -> int:
    print(f"server: {error}", file=sys.stderr)
    return 2 if isinstance(error, config.ConfigError) else 1


if __name__ == "__main__":
    sys.exit(main())
