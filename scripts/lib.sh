# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts beside it: source it, do not run it.
# It moves to the root of the tree, so that every path in the scripts is relative to that.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
export LC_ALL=C.UTF-8
# Objects of one clone serve another: what the cache compares holds no path above the tree.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

# Debian's Python has the modules that set-up installs; another one first in PATH may not.
readonly PYTHON=/usr/bin/python3

# Exit codes follow those of the command: 2 is usage, configuration, build or environment.
readonly EXIT_USAGE=2

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  readonly BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  readonly BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

# Processors to use, for builds and tests.
jobs_wanted() { echo "${SPIKELOCK_JOBS:-$(nproc)}"; }

fail() {
  printf '%s%s: %s%s\n' "$RED" "$(basename "$0")" "$*" "$PLAIN" >&2
  exit "$EXIT_USAGE"
}

# seconds_since START  (both from EPOCHREALTIME): "12.3"
seconds_since() {
  local us=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
  printf '%d.%d' $((us / 1000000)) $((us % 1000000 / 100000))
}

# step TITLE COMMAND...: says what runs, runs it with its output shown, says how long it took.
step() {
  local title=$1 start=$EPOCHREALTIME status=0
  shift
  printf '%s== %s%s\n' "$BOLD" "$title" "$PLAIN"
  "$@" || status=$?
  if ((status == 0)); then
    printf '%s   %s: %s s%s\n' "$DIM" "$title" "$(seconds_since "$start")" "$PLAIN"
  else
    printf '%s   %s: failed with exit code %d after %s s%s\n' "$RED" "$title" "$status" \
      "$(seconds_since "$start")" "$PLAIN"
  fi
  return "$status"
}

# configure PRESET [CMAKE ARGUMENT...]: quiet unless it fails.
configure() {
  local preset=$1 log=build/$1/configure.log
  shift
  mkdir -p "build/$preset"
  cmake --preset "$preset" "$@" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    return "$EXIT_USAGE"
  }
}

# build PRESET [TARGET...]: one line that moves on a terminal, only problems elsewhere.
build() {
  local preset=$1 quiet=()
  shift
  [[ -t 1 ]] || quiet=(--quiet)
  ninja -C "build/$preset" "${quiet[@]}" -j "$(jobs_wanted)" "$@"
}
