"""Defers modules that grpc, its companion packages and protobuf import but this server does not use.

They are a quarter of all imports: the modules for asyncio, and the pure-Python implementation of protobuf, which the
one in C replaces.

importlib's LazyLoader is not suitable. It leaves deferred modules in sys.modules, where two threads that import a
package and one of its modules at the same time deadlock, and where a module may be loaded twice.
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


class _Placeholder(ModuleType):
    """A placeholder for a module, which imports the module at the first access to an attribute."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - an attribute may have any type
        _remove(self)
        return getattr(importlib.import_module(self.__name__), name)


def _remove(placeholder: _Placeholder) -> None:
    if sys.modules.get(placeholder.__name__) is placeholder:
        del sys.modules[placeholder.__name__]


@contextmanager
def deferring_unused() -> Iterator[None]:
    """Defer imports of unused modules in this block: each is imported at the first access to one of its attributes.

    After the block, an import statement imports these modules as usual.
    """
    placeholders = [_Placeholder(name) for name in _UNUSED if name not in sys.modules]
    sys.modules.update({placeholder.__name__: placeholder for placeholder in placeholders})
    try:
        yield
    finally:
        for placeholder in placeholders:
            _remove(placeholder)
