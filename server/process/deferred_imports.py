"""Puts off what grpc, its companions and protobuf import, and this server does not use: a quarter of all imports.

That is what is for asyncio, and protobuf in Python, where there is protobuf in C.

importlib's LazyLoader is not for this. It leaves what is put off in sys.modules, where two threads that import a
package and a module of it at the same time wait for each other, and where a module may be loaded twice.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_UNUSED = (
    "asyncio",
    "google.protobuf.internal.python_message",
    "grpc.aio",
    "grpc.experimental.aio",
    "grpc_channelz.v1._async",
    "grpc_health.v1._async",
    "grpc_reflection.v1alpha._async",
    "grpc_status._async",
)


class _StandIn(ModuleType):
    """What importers get instead of a module: it imports the module when something in it is asked for."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a module has anything
        _remove(self)
        return getattr(importlib.import_module(self.__name__), name)


def _remove(stand_in: _StandIn) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]


@contextmanager
def deferring_unused() -> Iterator[None]:
    """Have the imports in this block leave those modules alone; each comes by itself once something in it is asked for.

    After the block, to import one is to import it as ever.
    """
    stand_ins = [_StandIn(name) for name in _UNUSED if name not in sys.modules]
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    try:
        yield
    finally:
        for stand_in in stand_ins:
            _remove(stand_in)
