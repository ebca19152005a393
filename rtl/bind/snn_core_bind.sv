// SPDX-License-Identifier: Apache-2.0
// Attaches the boundary checker to every snn_core.
bind snn_core snn_core_checker #(
  .Neurons (Neurons),
  .Axons   (Axons)
) u_checker (
  .clk_i          (clk_i),
  .rst_ni         (rst_ni),
  .clear_i        (clear_i),
  .tick_i         (tick_i),
  .busy_o         (busy_o),
  .done_o         (done_o),
  .ev_valid_i     (ev_valid_i),
  .ev_ready_o     (ev_ready_o),
  .ev_axon_i      (ev_axon_i),
  .spk_valid_o    (spk_valid_o),
  .spk_ready_i    (spk_ready_i),
  .spk_neuron_o   (spk_neuron_o),
  .probe_valid_o  (probe_valid_o),
  .probe_neuron_o (probe_neuron_o),
  .probe_spike_o  (probe_spike_o)
);
