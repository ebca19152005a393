#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs the tests; the last line is `N passed, N failed`.
#
#   scripts/test.sh [--long] [--asan|--tsan|--fuzz[=SECONDS]] [-- CTEST ARGUMENT...]
#     --long     the label `slow` too
#     --asan     under the address and undefined-behaviour sanitizers
#     --tsan     under the thread sanitizer
#     --fuzz     each fuzz target for SECONDS (default 20) instead of the tests
#     -- ...     for ctest, e.g. -- -R sha256 or -- -L property
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Ends the run where there is nothing to count: something before the tests failed.
give_up() {
  printf '%s%s%s\n0 passed, 1 failed\n' "$RED" "$1" "$PLAIN"
  exit 1
}

# fuzz_one FUZZER SECONDS: what it prints goes to a log, of which a failure shows the end.
fuzz_one() {
  local fuzzer=$1 seconds=$2 name log known=()
  name=$(basename "$fuzzer")
  log=build/fuzz/$name.log
  mkdir -p "build/fuzz/corpus/$name"
  [[ -d tests/fuzz/corpus/${name#fuzz_} ]] && known=("tests/fuzz/corpus/${name#fuzz_}")
  # New finds go to the first folder; the committed corpus beside it is only read.
  "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "${known[@]}" >"$log" 2>&1 || {
    tail -n 60 "$log"
    return 1
  }
  printf '   %s inputs tried\n' "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")"
}

run_fuzzers() {
  local seconds=$1 passed=0 failed=0 fuzzer
  for fuzzer in build/fuzz/bin/fuzz_*; do
    [[ -x $fuzzer && $fuzzer != *_replay ]] || continue
    if step "$(basename "$fuzzer")" fuzz_one "$fuzzer" "$seconds"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done
  ((passed + failed)) || give_up "no fuzz target was built"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

# ctest with only what is worth reading where nobody watches it move.
run_ctest() {
  if [[ -t 1 ]]; then
    ctest "$@"
    return
  fi
  ctest "$@" | grep --line-buffered -vE \
    '^ +Start +[0-9]+:|^ *[0-9]+/[0-9]+ Test +#.*( Passed |\*\*\*Skipped )|^Output from|^Use "'
}

main() {
  local preset=release test_preset=default group=test long='' fuzz_seconds=''
  while (($#)); do
    case $1 in
      --long) long=1 ;;
      --asan | --tsan) preset=${1#--} && test_preset=$preset ;;
      --fuzz) preset=fuzz group=fuzz fuzz_seconds=20 ;;
      --fuzz=*) preset=fuzz group=fuzz fuzz_seconds=${1#*=} ;;
      --)
        shift
        break
        ;;
      -h | --help)
        sed -n '3,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) fail "unknown option '$1'; see scripts/test.sh --help" ;;
    esac
    shift
  done
  [[ -n $long ]] && test_preset+=-long

  step "set up" scripts/setup.sh "$group" || give_up "the set-up failed"
  local bench=OFF
  dpkg-query -W libbenchmark-dev >/dev/null 2>&1 && [[ $preset == release ]] && bench=ON
  step "configure $preset" configure "$preset" -DSPIKELOCK_TESTS=ON -DSPIKELOCK_BENCH=$bench ||
    give_up "the configuration failed"
  # The second target compiles each public header alone.
  local targets=(all all_verify_interface_header_sets)
  [[ -n $fuzz_seconds ]] && targets=(fuzzers)
  step "build $preset" build "$preset" "${targets[@]}" || give_up "the build failed"
  if [[ -n $fuzz_seconds ]]; then
    run_fuzzers "$fuzz_seconds"
    return
  fi
  local junit=$PWD/build/$preset/junit.xml status=0
  rm -f "$junit"
  step "test" run_ctest --preset "$test_preset" -j "$(jobs_wanted)" --output-junit "$junit" "$@" ||
    status=$?
  "$PYTHON" scripts/test_summary.py "$junit" --ctest-status "$status"
}

main "$@"
