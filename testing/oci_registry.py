"""A container registry on loopback: `distribution`, the software behind Docker Hub."""

import contextlib
import http.client
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing import programs, timeouts

_REQUEST = re.compile(r'response completed.* http\.request\.method=(\w+) .*http\.request\.uri="?([^ "]+)')

USER, PASSWORD = "somebody", "no secret"
# bcrypt hash of the password, at the lowest cost.
_HTPASSWD = f"{USER}:$2b$04$criF664QW8qdFD/6nGnpIe7n9Qdsz8zZSDUuAbHx1kQr7waJYbZXq\n"

_CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: true}}}}  # the application log has the requests too
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:0"}}
"""
_AUTH = """
auth: {{htpasswd: {{realm: here, path: {folder}/htpasswd}}}}
"""


class Registry:
    """A running registry.

    Args:
        server: the process of the registry.
    """

    def __init__(self, server: programs.Server) -> None:
        """Start reading requests from the beginning of the log."""
        self._server = server
        self._seen = 0
        self._times = 0

    @property
    def host(self) -> str:
        """The address, HOST:PORT, with which every image reference begins."""
        return f"127.0.0.1:{self._server.port}"

    def requests(self) -> list[str]:
        """Return the requests received since the previous call, such as `HEAD /v2/NAME/manifests/TAG`."""
        self._times += 1
        mark = f"/v2/?times={self._times}"  # our own request: all earlier ones precede it in the log
        with contextlib.closing(http.client.HTTPConnection(self.host, timeout=timeouts.SECONDS)) as connection:
            connection.request("GET", mark)
            connection.getresponse().read()
        self._server.wait_for_log(mark)
        lines = self._server.log[self._seen :]
        self._seen += len(lines)
        requests = [" ".join(found.groups()) for line in lines if (found := _REQUEST.search(line))]
        return [request for request in requests if mark not in request]


@contextmanager
def serving(folder: Path, *, needs_password: bool = False) -> Iterator[Registry]:
    """Run a registry until the block ends. The test needs DOCKER_REGISTRY in its `env`.

    Args:
        folder: where the registry keeps its configuration and its images.
        needs_password: whether clients must log in as USER with PASSWORD.
    """
    config = folder / "config.yml"
    text = _CONFIG + _AUTH if needs_password else _CONFIG
    config.write_text(text.format(folder=folder), encoding="utf-8")
    (folder / "htpasswd").write_text(_HTPASSWD, encoding="utf-8")
    program = Path(os.environ["DOCKER_REGISTRY"]).absolute()
    with programs.serving_by(program, "serve", str(config), announcement="listening on") as server:
        yield Registry(server)
