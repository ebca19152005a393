#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats the C++ sources, or with --check lists those that are not formatted.
#
#   scripts/format.sh [--check] [FILE]...      (default: every C++ file of the tree)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly SKIPPED=4  # ctest reads this code as skipped
# One version for everyone: releases of clang-format differ in what they make of the same style.
readonly FORMATTER=clang-format-19

main() {
  local check='' files=()
  if [[ ${1:-} == --check ]]; then
    check=1
    shift
  fi
  files=("$@")
  if ((${#files[@]} == 0)); then
    mapfile -t files < <(
      find base trace golden bridge manifest lockstep sim analysis campaign app tests bench \
        examples \( -name '*.hpp' -o -name '*.cpp' \) -not -path '*/data/*' 2>/dev/null | sort)
  fi
  if ! command -v "$FORMATTER" >/dev/null; then
    printf 'SKIPPED: %s is not installed (scripts/setup.sh lint)\n' "$FORMATTER"
    exit "$SKIPPED"
  fi
  if [[ -n $check ]]; then
    printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P "$(jobs_wanted)" "$FORMATTER" --dry-run --Werror
    printf '%d files are formatted\n' "${#files[@]}"
  else
    printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P "$(jobs_wanted)" "$FORMATTER" -i
  fi
}

main "$@"
