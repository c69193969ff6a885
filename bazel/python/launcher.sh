#!/bin/sh
# Starts a py_binary or py_test. Bazel expands this template (bootstrap_template of py_runtime).
#
# Bazel's default template is a Python program, which needs a python3 on the host and delays every start by 0.1 s.
set -eu

# Find the runfiles: next to this script, or those of the program that has this script among its runfiles. Use an
# absolute path: a relative one may lack the `.runfiles` component.
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
    echo "$0: cannot find $0.runfiles: build and run this program with Bazel" >&2
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
# Do not import from the folder of the main module: modules have only one name, which starts at the repository's root.
PYTHONSAFEPATH=1
RUNFILES_DIR=$runfiles
export PYTHONPATH PYTHONSAFEPATH RUNFILES_DIR

# rules_python 2 starts the main module by a script of its own, which sets the import path, and has other placeholders.
python=%python_binary%
main=%main%
case $main in
%*)
  python=%python_binary_actual%
  main=%stage2_bootstrap%
  ;;
esac
exec "$runfiles/$python" "$runfiles/$main" "$@"
