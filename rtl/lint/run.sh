#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Verilator's lint on every RTL top, at sizes that stress the widths, with and without faults.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command -v verilator >/dev/null || { echo "rtl/lint/run.sh: verilator is missing" >&2; exit 2; }

# lint TOP WAIVERS SOURCE... -- OPTION...
lint() {
  local top=$1 waivers=$2 sources=()
  shift 2
  while (($#)) && [[ $1 != -- ]]; do sources+=("$1"); shift; done
  (($#)) && shift
  verilator --lint-only -Wall --assert -Irtl/include "rtl/lint/$waivers" "${sources[@]}" \
    --top-module "$top" "$@"
  printf '%s %s: clean\n' "$top" "$*"
}

core=(rtl/core/*.sv rtl/bind/*.sv)
for faults in '' -DFAULTS; do
  lint snn_core snn_core.vlt "${core[@]}" -- $faults
  lint snn_core snn_core.vlt "${core[@]}" -- $faults -GNeurons=10 -GAxons=3 -GSynapses=100 \
    -GDelaySlots=2 -GVWidth=8 -GUWidth=12 -GAccWidth=10 -GWWidth=4 -GRefrWidth=3
  lint snn_core snn_core.vlt "${core[@]}" -- $faults -GNeurons=1 -GAxons=1 -GSynapses=1 \
    -GDelaySlots=16 -GVWidth=32 -GUWidth=32 -GAccWidth=32 -GWWidth=16 -GLeakFrac=16
  lint snn_core snn_core.vlt "${core[@]}" -- $faults -GNeurons=4096 -GAxons=4096 -GSynapses=100000 \
    -GDelaySlots=8 -GVWidth=24 -GUWidth=20 -GAccWidth=12 -GWWidth=9 -GLeakFrac=1 -GRefrWidth=1
done
lint lif_array lif_array.vlt rtl/neuron/*.sv
lint lif_array lif_array.vlt rtl/neuron/*.sv -- -GNeurons=1 -GVWidth=8 -GLeakShift=0
