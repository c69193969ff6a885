"""Print the arguments, import path and process id of this program, for launcher_test."""

import json
import os
import sys

if __name__ == "__main__":
    print(json.dumps({"arguments": sys.argv[1:], "path": sys.path, "pid": os.getpid(), "prefix": sys.prefix}))
    sys.exit(7)
