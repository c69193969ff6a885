"""Run a module of //bazel/oci with the arguments of one target."""

import os
import sys
from pathlib import Path

from bazel.oci import MODULE

RUNFILES = Path(os.environ["RUNFILES_DIR"])

sys.exit(MODULE.main(ARGUMENTS))
