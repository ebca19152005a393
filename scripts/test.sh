#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs the tests; the last line is `N passed, N failed`.
#
#   scripts/test.sh [--long] [--asan|--tsan] [-- CTEST ARGUMENT...]
#   scripts/test.sh --fuzz[=SECONDS]|--fuzz-runs=N [-- TARGET...]
#     --long     the label `slow` too
#     --asan     under the address and undefined-behaviour sanitizers
#     --tsan     under the thread sanitizer
#     --fuzz     each fuzz target for SECONDS (default 20) under the sanitizers, no tests
#     --fuzz-runs=N  each for N inputs, without them, ten times as fast
#     -- ...     for ctest, e.g. -- -R sha256 or -- -L property; or fuzz targets, e.g. vcd_reader
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Ends the run where there is nothing to count: something before the tests failed.
give_up() {
  printf '%s%s%s\n0 passed, 1 failed\n' "$RED" "$1" "$PLAIN"
  exit 1
}

# fuzz_one FUZZER LIMIT: what it prints goes to a log, of which a failure shows the end. The corpus
# is that of all presets: what runs fast finds, what is sanitized then tries.
fuzz_one() {
  local fuzzer=$1 limit=$2 name folder log known=()
  name=$(basename "$fuzzer")
  folder=${fuzzer%/bin/*}
  log=$folder/$name.log
  mkdir -p "build/fuzz/corpus/$name"
  [[ -d tests/fuzz/corpus/${name#fuzz_} ]] && known=("tests/fuzz/corpus/${name#fuzz_}")
  # New finds go to the first folder; the committed corpus beside it is only read.
  "$fuzzer" "$limit" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$folder/$name-" "build/fuzz/corpus/$name" "${known[@]}" >"$log" 2>&1 || {
    tail -n 60 "$log"
    return 1
  }
  awk '/^stat::number_of_executed_units: / { tried = $2 }
    match($0, /^#[0-9]+/) && match($0, / cov: [0-9]+/) {
      split(substr($0, RSTART), at, " ")
      if (at[2] > cov) { cov = at[2]; grew = substr($1, 2) }
    }
    END { printf "   %d inputs tried; %d edges covered, the last at input %d\n", tried, cov, grew }
  ' "$log"
}

# run_fuzzers PRESET LIMIT [NAME...]
run_fuzzers() {
  local preset=$1 limit=$2 passed=0 failed=0 fuzzer name
  shift 2
  for fuzzer in build/"$preset"/bin/fuzz_*; do
    name=${fuzzer##*/fuzz_}
    [[ -x $fuzzer && $name != *_replay ]] || continue
    (($# == 0)) || [[ " $* " == *" $name "* ]] || continue
    if step "fuzz_$name" fuzz_one "$fuzzer" "$limit"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done
  ((passed + failed)) || give_up "no such fuzz target was built"
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
  local preset=release test_preset=default group=test long='' fuzz_limit=''
  while (($#)); do
    case $1 in
      --long) long=1 ;;
      --asan | --tsan) preset=${1#--} && test_preset=$preset ;;
      --fuzz) preset=fuzz group=fuzz fuzz_limit=-max_total_time=20 ;;
      --fuzz=*) preset=fuzz group=fuzz fuzz_limit=-max_total_time=${1#*=} ;;
      --fuzz-runs=*) preset=fuzz-fast group=fuzz fuzz_limit=-runs=${1#*=} ;;
      --)
        shift
        break
        ;;
      -h | --help)
        sed -n '3,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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
  [[ -n $fuzz_limit ]] && targets=(fuzzers)
  step "build $preset" build "$preset" "${targets[@]}" || give_up "the build failed"
  if [[ -n $fuzz_limit ]]; then
    run_fuzzers "$preset" "$fuzz_limit" "$@"
    return
  fi
  local junit=$PWD/build/$preset/junit.xml status=0
  rm -f "$junit"
  step "test" run_ctest --preset "$test_preset" -j "$(jobs_wanted)" --output-junit "$junit" "$@" ||
    status=$?
  "$PYTHON" scripts/test_summary.py "$junit" --ctest-status "$status"
}

main "$@"
