"""Parsers for Markdown documents: console blocks, which are commands with their output, and tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Session:
    """A command in a console block, and the output shown below it.

    Attributes:
        command: the command, split into words as a shell does.
        output: the lines up to the next command or the end of the block.
    """

    command: list[str]
    output: str

    def __str__(self) -> str:
        """Return the command as it is typed; pytest uses it as the test id."""
        return shlex.join(self.command)


class Document:
    """The console blocks of a Markdown text.

    Args:
        text: the Markdown source.

    Attributes:
        sessions: all commands, in order.
    """

    def __init__(self, text: str) -> None:
        """Parse the text."""
        self.sessions = list(self._read(text))

    @staticmethod
    def _read(text: str) -> Iterator[Session]:
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = session.partition("\n")
                yield Session(shlex.split(command), output)

    def of(self, *beginning: str) -> list[Session]:
        """Return the sessions whose command starts with these words."""
        return [session for session in self.sessions if session.command[: len(beginning)] == list(beginning)]


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of each row of the first table below a heading, without the table's own heading.

    Args:
        text: the Markdown source.
        heading: the text of the heading, which has the second level.

    Raises:
        ValueError: the heading or the table does not exist.
    """
    _, _, section = text.partition(f"\n## {heading}\n")
    section, _, _ = section.partition("\n## ")
    if not (rows := re.search(r"^\| ---.*\n((?:\|.*\n?)+)", section, re.MULTILINE)):
        raise ValueError(f"there is no table below {heading!r}")
    return [row.strip("| ").split(" | ") for row in rows[1].splitlines()]
