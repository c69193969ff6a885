#!/bin/sh
# Starts a py_binary or py_test: the template that Bazel fills in (py_runtime's bootstrap_template).
#
# Bazel's own template is a Python program: it wants a python3 on the host and adds a tenth of a second to every start.
set -eu

# The runfiles: beside this script, or, where this script is itself a runfile of another program, that program's.
# A relative name may hide that the folder it is relative to lies among the runfiles.
case $0 in
/*) self=$0 ;;
*) self=$PWD/$0 ;;
esac
while :; do
  if [ -d "$self.runfiles" ]; then
    runfiles=$self.runfiles
    break
  fi
  case $self in
  *.runfiles/*)
    runfiles=${self%.runfiles/*}.runfiles
    break
    ;;
  esac
  if ! link=$(readlink "$self"); then
    echo "$0: found no $0.runfiles; build and run it by Bazel" >&2
    exit 1
  fi
  case $link in
  /*) self=$link ;;
  *) self=$(dirname "$self")/$link ;;
  esac
done

PYTHONPATH=$runfiles/%workspace_name%
imports=%imports%
IFS=:
for import in $imports; do
  PYTHONPATH=$PYTHONPATH:$runfiles/$import
done
unset IFS
# Safe path: the folder of the main module is no place to import from; modules have one name, from the repository's root.
PYTHONSAFEPATH=1
RUNFILES_DIR=$runfiles
export PYTHONPATH PYTHONSAFEPATH RUNFILES_DIR

exec "$runfiles/%python_binary%" "$runfiles/%main%" "$@"
