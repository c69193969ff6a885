"""The commands that documents show, with the output that they show below them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Session:
    """A command of a console block, and the output shown below it."""

    command: list[str]
    output: str

    def __str__(self) -> str:
        """Return the command as it is typed, which names a test."""
        return shlex.join(self.command)


class Document:
    """The console blocks of a text in Markdown."""

    def __init__(self, text: str) -> None:
        """Read them."""
        self.sessions = list(self._read(text))

    @staticmethod
    def _read(text: str) -> Iterator[Session]:
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = session.partition("\n")
                yield Session(shlex.split(command), output)

    def of(self, *beginning: str) -> list[Session]:
        """Return the sessions whose command begins so."""
        return [session for session in self.sessions if session.command[: len(beginning)] == list(beginning)]
