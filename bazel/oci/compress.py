"""Compresses a layer, the same whenever the layer is and this libdeflate: compress.py TAR GZ."""

import sys
from pathlib import Path

import deflate

# Of libdeflate's levels, 0 to 12. It takes seven seconds for 50 MB, and is an action of its own, so once a layer.
_TIGHTEST = 12


def compressed(tar: bytes) -> bytes:
    """Return a tar as gzip has it, with neither a name nor a time in its header."""
    return bytes(deflate.gzip_compress(tar, _TIGHTEST))


def main() -> int:
    """Compress one layer."""
    tar, gz = map(Path, sys.argv[1:])
    gz.write_bytes(compressed(tar.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
