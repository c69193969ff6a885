"""Check the types of all Python files in one run, with the generated stubs and the locked packages."""

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path.cwd()
    # mypy reports errors in our own code and its stubs. It treats everything else on the path as installed packages.
    ours = [entry for entry in sys.path if Path(entry).is_relative_to(root)]
    environment = os.environ | {"MYPYPATH": os.pathsep.join(ours)}
    files = sorted(str(file.relative_to(root)) for file in root.rglob("*.py") if "_stubs/" not in str(file))
    sys.exit(subprocess.run([sys.executable, "-m", "mypy", *files], env=environment, check=False).returncode)
