"""Puts off the imports that grpc and its companions make for asyncio, which this server does not use.

They are a sixth of the time from exec to the first answer. Each is made when something first asks for what is in it:
https://docs.python.org/3/library/importlib.html#implementing-lazy-imports
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_FOR_ASYNCIO = {
    "asyncio",
    "grpc.aio",
    "grpc.experimental.aio",
    "grpc_channelz.v1._async",
    "grpc_health.v1._async",
    "grpc_reflection.v1alpha._async",
    "grpc_status._async",
}


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in _FOR_ASYNCIO else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


def put_off_asyncio() -> None:
    """Have these imports put off from now on; those that were made stay. Once, before grpc is imported."""
    sys.meta_path.insert(0, _Finder())
