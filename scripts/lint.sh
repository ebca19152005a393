#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Static checks: clang-tidy on changed C++ files, Verilator's lint on the RTL, layers, formatting.
#
#   scripts/lint.sh [--all] [--base COMMIT] [FILE]...
#     --all     clang-tidy on every file instead of those that differ from COMMIT
#     --base    what "changed" is measured against (default: the merge base with origin/main or
#               main, and on main itself the commit before the last)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly TIDY=clang-tidy-19

changed_files() {
  local base=$1
  if [[ -z $base ]]; then
    local upstream
    for upstream in origin/main main 'HEAD~1'; do
      base=$(git merge-base HEAD "$upstream" 2>/dev/null) || continue
      [[ $base == "$(git rev-parse HEAD)" ]] || break
    done
  fi
  { git diff --name-only --diff-filter=d "$base" && git ls-files -o --exclude-standard; } |
    grep -E '\.(cpp|hpp)$' | sort -u || true
}

# clang-tidy needs a compile command; a header is checked through the sources that include it.
tidy() {
  local -a sources=() known=()
  local file
  mapfile -t known < <("$PYTHON" - <<'PYTHON'
import json, os
for entry in json.load(open("build/release/compile_commands.json")):
    print(os.path.relpath(os.path.join(entry["directory"], entry["file"])))
PYTHON
  )
  for file in "$@"; do
    if [[ $file == *.hpp ]]; then
      mapfile -t -O "${#sources[@]}" sources < <(
        grep -l "\"${file#*/include/}\"" "${known[@]}" 2>/dev/null | head -n 1)
    elif printf '%s\n' "${known[@]}" | grep -qx "$file"; then
      sources+=("$file")
    fi
  done
  mapfile -t sources < <(printf '%s\n' "${sources[@]}" | sed '/^$/d' | sort -u)
  if ((${#sources[@]} == 0)); then
    printf 'no C++ file to check\n'
    return
  fi
  printf '%s\0' "${sources[@]}" |
    xargs -0 -n 1 -P "$(jobs_wanted)" "$TIDY" -p build/release --quiet --warnings-as-errors='*'
}

lint_rtl() {
  if [[ -x rtl/lint/run.sh ]]; then
    rtl/lint/run.sh
    return
  fi
  local file status=0 waivers=()
  mapfile -t waivers < <(find rtl/lint -name '*.vlt' 2>/dev/null | sort)
  while read -r file; do
    verilator --lint-only --assert -Wall -Irtl/include $(find rtl -type d -printf '-y %p ') \
      "${waivers[@]}" "$file" --top-module "$(basename "$file" .sv)" || status=1
  done < <(grep -lE '^module ' -r rtl --include='*.sv' | sort)
  return "$status"
}

main() {
  local all='' base='' status=0
  local -a files=()
  while (($#)); do
    case $1 in
      --all) all=1 ;;
      --base) base=${2:?"--base needs a commit"} && shift ;;
      -h | --help)
        sed -n '3,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      -*) fail "unknown option '$1'; see scripts/lint.sh --help" ;;
      *) files+=("$1") ;;
    esac
    shift
  done
  step "set up" scripts/setup.sh lint || exit "$EXIT_USAGE"
  [[ -f build/release/compile_commands.json ]] || step "configure release" configure release \
    -DSPIKELOCK_TESTS=OFF -DSPIKELOCK_BENCH=OFF || exit "$EXIT_USAGE"
  if [[ -n $all ]]; then
    mapfile -t files < <(git ls-files '*.cpp')
  elif ((${#files[@]} == 0)); then
    mapfile -t files < <(changed_files "$base")
  fi
  step "layers" "$PYTHON" scripts/check_layers.py || status=1
  step "tree" "$PYTHON" scripts/check_tree.py || status=1
  step "format" scripts/format.sh --check || status=1
  if [[ -d rtl ]]; then
    step "RTL lint" lint_rtl || status=1
  fi
  step "clang-tidy" tidy "${files[@]}" || status=1
  return "$status"
}

main "$@"
