"""Write a layer of an image: a byte-for-byte reproducible tar.

layer.py TAR [PLACE FILE]... An argument @LIST is replaced by the lines of the file LIST, one argument per line.
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
    """Two files that differ have the same path in the image."""


def bytecode(source: bytes, path: str) -> bytes:
    """Compile a module to bytecode that has the hash of its source and is never checked against the source.

    Thus the bytecode contains no time stamp: https://peps.python.org/pep-0552/.

    Args:
        source: the text of the module.
        path: the path of the module in the image, for tracebacks.

    Raises:
        SyntaxError: the source is not valid Python.
    """
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    flags = (0b01).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


def collect(files: list[tuple[str, Path]]) -> dict[PurePosixPath, bytes]:
    """Read the files of a layer, and compile its Python modules.

    Args:
        files: for each file its path in the image, relative to the root, and its current path.

    Raises:
        CollisionError: two files that differ have the same path in the image.
        SyntaxError: a module is not valid Python.
    """
    contents: dict[PurePosixPath, bytes] = {}
    origins: dict[PurePosixPath, Path] = {}
    for destination, file in files:
        place, content = PurePosixPath(destination), file.read_bytes()
        if contents.setdefault(place, content) != content:
            raise CollisionError(f"{origins[place]} and {file} differ, but are both /{place} in the image")
        origins.setdefault(place, file)
    for place in [place for place in contents if place.suffix == ".py"]:
        cached = place.parent / "__pycache__" / f"{place.stem}.{sys.implementation.cache_tag}.pyc"
        contents[cached] = bytecode(contents[place], f"/{place}")
    return contents


def write(contents: dict[PurePosixPath, bytes], tar: Path) -> None:
    """Write files and their folders to a tar: sorted, without dates, and owned by root.

    Args:
        contents: the content of each file, by its path relative to the image's root. Only ELF files become executable.
        tar: the file to write.
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
    """Write one layer. Return 1 if two files that differ have the same path in the image, else 0."""
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
