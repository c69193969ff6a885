"""Writes a layer of an image: a tar that is the same, to the byte, whenever its files are.

layer.py TAR [PLACE FILE]...: each argument a line of a file that is named by @FILE.
"""

import argparse
import importlib.util
import io
import marshal
import sys
import tarfile
from pathlib import Path, PurePosixPath

_ELF = b"\x7fELF"


class CollisionError(ValueError):
    """Two files want to be at the same place."""


def bytecode(source: bytes, path: str) -> bytes:
    """Compile a module to bytecode that names its source by hash, and is never checked against it.

    So no time gets into the image: https://peps.python.org/pep-0552/.

    Args:
        source: the text of the module.
        path: where it will be, for tracebacks.

    Raises:
        SyntaxError: it is no Python.
    """
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    flags = (0b01).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


def collect(files: list[tuple[str, Path]]) -> dict[PurePosixPath, bytes]:
    """Read the files of a layer, and compile its modules.

    Args:
        files: where each goes, relative to the root of the image, and where it is now.

    Raises:
        CollisionError: two that differ want to be at the same place.
        SyntaxError: a module is no Python.
    """
    contents: dict[PurePosixPath, bytes] = {}
    origins: dict[PurePosixPath, Path] = {}
    for destination, file in files:
        place, content = PurePosixPath(destination), file.read_bytes()
        if contents.setdefault(place, content) != content:
            raise CollisionError(f"{origins[place]} and {file} both want to be /{place}, and differ")
        origins.setdefault(place, file)
    for place in [place for place in contents if place.suffix == ".py"]:
        cached = place.parent / "__pycache__" / f"{place.stem}.{sys.implementation.cache_tag}.pyc"
        contents[cached] = bytecode(contents[place], f"/{place}")
    return contents


def write(contents: dict[PurePosixPath, bytes], tar: Path) -> None:
    """Write files, and the folders they are in, sorted, of no date, and root's.

    Args:
        contents: each file by its place, relative to the root of the image. ELF files are executable, others are not.
        tar: what is written.
    """
    folders = {parent for place in contents for parent in place.parents if parent.name}
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        for place in sorted(folders | set(contents)):
            entry = tarfile.TarInfo(str(place))
            if place in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            content = contents[place]
            entry.size = len(content)
            entry.mode = 0o755 if content.startswith(_ELF) else 0o644
            archive.addfile(entry, io.BytesIO(content))


def main() -> int:
    """Write one layer; return 1 if two files want to be at the same place."""
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("tar", type=Path)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    places, files = arguments.files[::2], map(Path, arguments.files[1::2])
    try:
        write(collect(list(zip(places, files, strict=True))), arguments.tar)
    except CollisionError as error:
        print(f"layer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
