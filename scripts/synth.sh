#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reads a core with Yosys, synthesises it to generic cells and prints how many of each. Installs
# nothing. Memories stay memories: their words and bits are counted, not turned into registers.
#
#   scripts/synth.sh [--top MODULE] [--param NAME=VALUE]... [--ice40]
#     --top      snn_core (default) or lif_array
#     --param    a parameter of the top; the default sizes are small, so that it takes seconds
#     --ice40    map to iCE40 cells, memories to its block RAMs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

top=snn_core target=generic
declare -A params=()
while (($#)); do
  case $1 in
    --top) [[ $# -ge 2 ]] || fail "--top needs a module"; top=$2; shift 2 ;;
    --param)
      [[ $# -ge 2 && $2 =~ ^([A-Za-z][A-Za-z0-9]*)=([0-9]+)$ ]] ||
        fail "--param needs NAME=VALUE with a whole number, got '${2-}'"
      params[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
      shift 2
      ;;
    --ice40) target=ice40; shift ;;
    -h | --help) sed -n '3,11s/^# \{0,1\}//p' "$0" ; exit 0 ;;
    *) fail "unknown option '$1'; see the head of scripts/synth.sh" ;;
  esac
done

case $top in
  snn_core) sources=(rtl/core/*.sv) defaults=(Neurons=64 Axons=16 Synapses=1024) ;;
  lif_array) sources=(rtl/neuron/*.sv) defaults=(Neurons=8) ;;
  *) fail "--top: expected snn_core or lif_array, got '$top'" ;;
esac
command -v yosys >/dev/null ||
  fail "yosys is missing; on Debian: apt-get install yosys (0.23 or newer)"

for pair in "${defaults[@]}"; do
  [[ -n ${params[${pair%%=*}]-} ]] || params[${pair%%=*}]=${pair#*=}
done
sets=()
while read -r name; do
  grep -qE "^ *parameter +int +unsigned +$name\b" "rtl/"*"/$top.sv" ||
    fail "--param: $top has no parameter '$name'"
  sets+=("-set $name ${params[$name]}")
done < <(printf '%s\n' "${!params[@]}" | sort)

if [[ $target == ice40 ]]; then
  synthesise="synth_ice40 -top $top"
else
  # `synth` without its last memory_map, which would make a register of every memory bit.
  synthesise="synth -top $top -flatten -run begin:fine; opt -fast -full; opt; techmap; opt"
  synthesise+="; abc -fast; opt -fast; clean"
fi
printf '%s, %s cells:' "$top" "$target"
printf ' %s' "${sets[@]#-set }"
printf '\n'
log=$(mktemp)
trap 'rm -f "$log" "$log.early" "$log.all"' EXIT
yosys -Q -T -p "read_verilog -sv -Irtl/include ${sources[*]}; chparam ${sets[*]} $top;
  hierarchy -check -top $top; rename -top $top; proc; flatten; opt_clean;
  tee -o $log.early stat; $synthesise;
  check -assert; tee -o $log stat" >"$log.all" 2>&1 || {
  grep -m1 -A3 ERROR "$log.all" >&2
  fail "yosys did not accept $top"
}
grep -iE '^Warning' "$log.all" | sort -u >&2 || true
printf 'as written:\n'
grep -E 'Number of memor' "$log.early"
printf 'synthesised (one $mem_v2 is one memory):\n'
sed -n '/Number of cells/,$p' "$log" | sed '/^$/d'
