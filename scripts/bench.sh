#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the benches, runs them and prints a table with the bars; exit code 1 where one is missed.
#
#   scripts/bench.sh [--json FILE] [--only NAME]... [--quick] [--list]
#     --json     also as a list of {"name", "value", "unit", "bar", "holds", "command"}
#     --only     entries whose name contains NAME
#     --quick    3 repetitions instead of 9: shows that it works, measures nothing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
  local argument
  for argument in "$@"; do
    if [[ $argument == -h || $argument == --help ]]; then
      sed -n '3,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
    fi
  done
  step "set up" scripts/setup.sh bench >&2 || exit "$EXIT_USAGE"
  local tests=OFF
  # A tree that is set up for the tests stays so.
  grep -qs '^SPIKELOCK_TESTS:BOOL=ON' build/release/CMakeCache.txt && tests=ON
  step "configure release" configure release -DSPIKELOCK_TESTS=$tests -DSPIKELOCK_BENCH=ON >&2 ||
    exit "$EXIT_USAGE"
  step "build release" build release benches >&2 || exit "$EXIT_USAGE"
  exec "$PYTHON" scripts/bench.py --build build/release "$@"
}

main "$@"
