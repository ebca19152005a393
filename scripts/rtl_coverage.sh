#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures which lines and branches of rtl/core the random differential test executes, with
# Verilator's coverage.
#
#   scripts/rtl_coverage.sh [--annotate FOLDER]
#     --annotate   also write the sources with counts into FOLDER
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

annotate=""
while [[ $# -gt 0 ]]; do
  case $1 in
    --annotate) annotate=${2:?--annotate needs a folder}; shift 2 ;;
    -h|--help) sed -n '3,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "unknown option '$1'; see --help" >&2; exit 2 ;;
  esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step "set up" scripts/setup.sh test >&2
step "configure release" configure release -DSPIKELOCK_TESTS=ON >&2
step "build" ninja -C build/release --quiet test_cosim >&2
step "run random networks" env SPIKELOCK_RTL_COVERAGE="$work" \
  build/release/bin/test_cosim "~[slow]" >&2
verilator_coverage --write "$work/all.info.dat" "$work"/*.dat >/dev/null
python3 - "$work/all.info.dat" <<'PY'
import re, sys, collections
# Points of Verilator's data: C '<key/value pairs>' count. A module with several sets of parameters
# counts once, with the best of them.
hits = collections.defaultdict(int)
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    match = re.match(r"C '(.*)' (\d+)$", line.strip())
    if not match:
        continue
    fields = dict(part.split("\x02", 1) for part in match.group(1).split("\x01") if "\x02" in part)
    name = fields.get("f", "")
    if "/core/" not in name:
        continue
    place = (name.rsplit("/", 1)[-1], int(fields.get("l", 0)), fields.get("o", ""),
             fields.get("n", ""))
    hits[place] = max(hits[place], int(match.group(2)))
files = collections.defaultdict(lambda: [0, 0, []])
for (name, line, what, _), count in sorted(hits.items()):
    entry = files[name]
    entry[1] += 1
    entry[0] += count > 0
    if count == 0:
        entry[2].append(f"{line}{' (' + what + ')' if what else ''}")
total = [sum(entry[0] for entry in files.values()), sum(entry[1] for entry in files.values())]
for name, (hit, points, missed) in sorted(files.items()):
    left = f"   not reached: {', '.join(missed)}" if missed else ""
    print(f"{name:<24}{hit:>5}/{points:<5}{100 * hit / points:>6.1f} %{left}")
if not total[1]:
    sys.exit("no coverage points found")
print(f"{'lines and branches':<24}{total[0]:>5}/{total[1]:<5}{100 * total[0] / total[1]:>6.1f} %")
PY
if [[ -n $annotate ]]; then verilator_coverage --annotate "$annotate" "$work/all.info.dat"; fi
