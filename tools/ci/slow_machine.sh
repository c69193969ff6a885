#!/usr/bin/env bash
# slow_machine.sh PID [CGROUPS]: limits a process, and every process that it starts from now on, to a third of a core.
#
# Tests that are started after "sudo tools/ci/slow_machine.sh $$" run as on a slow machine, if Bazel's server is not
# running yet (./bazelw shutdown). CGROUPS is where the control groups are mounted, /sys/fs/cgroup by default.
set -euo pipefail
pid=${1:?the PID of a process is missing, such as \$\$} root=${2:-/sys/fs/cgroup}
quota=33333 period=100000 # microseconds
if [[ -e $root/cgroup.controllers ]]; then # cgroup v2: https://docs.kernel.org/admin-guide/cgroup-v2.html
  group=$root/third
  echo +cpu >"$root/cgroup.subtree_control"
  mkdir -p "$group"
  echo "$quota $period" >"$group/cpu.max"
else
  group=$root/cpu/third
  mkdir -p "$group"
  echo "$period" >"$group/cpu.cfs_period_us"
  echo "$quota" >"$group/cpu.cfs_quota_us"
fi
echo "$pid" >"$group/cgroup.procs"
