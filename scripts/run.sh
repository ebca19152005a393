#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a verdict: installs what is missing, builds the command, runs the digits
# network in lockstep on the golden model and the RTL, then lets a bug in the RTL be found.
#
#   scripts/run.sh [--fault NAME]      the bug to plant (default: threshold-compare)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly SPIKELOCK=build/release/bin/spikelock
readonly EXAMPLE=examples/010_digits/cosim.toml
readonly TRACES=build/traces
readonly DIVERGED=1

build_command() {
  # Without a configured tree only the command is asked for, so that no test or bench library is
  # needed; a tree that scripts/test.sh has configured is kept as it is.
  [[ -f build/release/build.ninja ]] ||
    configure release -DSPIKELOCK_TESTS=OFF -DSPIKELOCK_BENCH=OFF
  build release spikelock
}

run_with_fault() {
  local status=0
  "$SPIKELOCK" run "$EXAMPLE" --fault "$1" --record "$TRACES/digits-$1.h5" || status=$?
  if ((status != DIVERGED)); then
    printf 'the bug %s should have ended in DIVERGED (exit code %d), got exit code %d\n' \
      "$1" "$DIVERGED" "$status" >&2
    return 1
  fi
}

main() {
  local fault=threshold-compare start=$EPOCHREALTIME
  while (($#)); do
    case $1 in
      --fault) fault=${2:?"--fault needs a name; $SPIKELOCK run $EXAMPLE --list-faults"} && shift ;;
      -h | --help)
        sed -n '3,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) fail "unknown option '$1'; see scripts/run.sh --help" ;;
    esac
    shift
  done
  step "set up" scripts/setup.sh run || exit "$EXIT_USAGE"
  step "build spikelock" build_command || exit "$EXIT_USAGE"
  mkdir -p "$TRACES"
  step "golden model and RTL in lockstep" \
    "$SPIKELOCK" run "$EXAMPLE" --record "$TRACES/digits.h5"
  step "the same with the bug '$fault' in the RTL" run_with_fault "$fault"
  cat <<NEXT

${GREEN}Golden model and RTL agree, and the planted bug was found.${PLAIN}
All in $(seconds_since "$start") s.

Traces (HDF5, any h5py reads them):
    $TRACES/digits.h5
    $TRACES/digits-$fault.h5
What to type next:
    $SPIKELOCK show $TRACES/digits.h5
    $SPIKELOCK diff $TRACES/digits.h5 $TRACES/digits-$fault.h5
    $SPIKELOCK run $EXAMPLE --list-faults
    $SPIKELOCK --help
NEXT
}

main "$@"
