/* SPDX-License-Identifier: Apache-2.0 */
/* A golden model of your own, in C or C++: implement the functions below in one file, name it in
 * the manifest ([golden] cpp = "model.cpp"), and `spikelock run` compares the core with it instead
 * of with the built-in golden. The file is compiled by the tool, and runs in a process of its own:
 * it may crash or hang without harm. What it prints is shown by `run -v`; in C++ it may throw.
 * Its state is its own: nothing reads or sets it but reset(). After a divergence both sides go on
 * from where they are (`run --collect N`); nothing brings a model back to the core's state. */
#ifndef SPIKELOCK_GOLDEN_H
#define SPIKELOCK_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The network of the manifest, as docs/model.md section 2 names things. N = n_neurons, A = n_axons.
 * All arrays stay valid, and never change, until spikelock_golden_destroy(). A model that knows its
 * network by itself need not look at more than n_neurons and n_axons. */
typedef struct spikelock_network {
    uint32_t n_neurons, n_axons, n_synapses;
    int32_t v_bits, u_bits, acc_bits, weight_bits, leak_frac, refr_bits, delay_slots, v_frac;
    int32_t leak_mode, rounding, v_overflow, acc_overflow, compare, reset_mode; /* codes */
    int32_t weight_shift, u_shift;
    const int32_t* threshold;  /* shape (N), LSB of v, as v_reset and bias */
    const int32_t* v_reset;    /* (N) */
    const int32_t* bias;       /* (N) */
    const int32_t* leak;       /* (N), a shift or a multiplier in units of 2^-leak_frac */
    const int32_t* u_decay;    /* (N), as leak */
    const int32_t* refractory; /* (N), timesteps */
    const int32_t* spiking;    /* (N), 0 or 1 */
    const int32_t* cuba;       /* (N), 0 or 1 */
    const int32_t* v_init;     /* (N), v at the start and after a clear */
    const int32_t* row_begin;  /* (A + N + 1): synapses of source s (axons, then neurons) are
                                  row_begin[s] .. row_begin[s+1]-1 */
    const int32_t* target;     /* (n_synapses), neuron */
    const int32_t* weight;     /* (n_synapses), LSB, before weight_shift */
    const int32_t* delay;      /* (n_synapses), timesteps */
    const char* json;          /* all of it as text, as docs/network.md describes it */
} spikelock_network;

/* A field that the model shows beside its spikes. */
typedef struct spikelock_field {
    const char* name;  /* "i_syn", "u", "v" or "refr", or one that only your core has */
    int32_t bits;      /* 1..64; 0: as the network has it */
    int32_t is_signed; /* not looked at where bits is 0 */
} spikelock_field;

enum { SPIKELOCK_RESET_CLEAR = 1, SPIKELOCK_RESET_POWER_ON = 2 };

/* Makes the model; NULL: it cannot compute this network (print why). */
void* spikelock_golden_create(const spikelock_network* network);
void spikelock_golden_destroy(void* model);

/* The fields that the model shows, in the order in which step() gets them; the number of them in
 * *n_fields. Fields that either the model or the core does not show are not compared. */
const spikelock_field* spikelock_golden_describe(void* model, size_t* n_fields);

/* Called before the first timestep (SPIKELOCK_RESET_POWER_ON), and before the first timestep of
 * each sample that begins cleared (SPIKELOCK_RESET_CLEAR). */
void spikelock_golden_reset(void* model, int32_t kind);

/* One timestep.
 * axons   shape (n_events), the axon 0..A-1 of each input event, in the order in which the core
 *         takes them; one may stand several times
 * i_in    shape (N), currents applied beside events, LSB; NULL where the stimulus has none
 * spikes  shape ((N + 63) / 64), all 0: set bit n % 64 of word n / 64 where neuron n fires
 * fields  fields[k][n] is field k of neuron n after the timestep, all 0: write what you describe.
 *         A value that does not fit the field's width is an error, never cut. */
void spikelock_golden_step(void* model, const uint32_t* axons, size_t n_events, const int32_t* i_in,
                           uint64_t* spikes, int64_t* const* fields);

#ifdef __cplusplus
}
#endif
#endif
