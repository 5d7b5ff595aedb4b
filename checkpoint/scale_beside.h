/* SPDX-License-Identifier: Apache-2.0 */
/* Dense weights whose scale is in a tensor of its own. transformers' AutoBitLinear keeps t in
 * NAME.weight and multiplies by NAME.weight_scale, and a model that was loaded so is saved so.
 * BitNet's files of llama.cpp have NAME.scale beside NAME.weight. */
#ifndef CHECKPOINT_SCALE_BESIDE_H
#define CHECKPOINT_SCALE_BESIDE_H

#include "checkpoint/findings.h"

/* Makes weight_scale and weight_scale_inv the table of a dense layer beside them, and notes it in
 * the layer's item (`beside`). */
void contents_find_scales_beside(struct contents *contents);

/* Of a layer: adds a finding if the scale beside it is not finite, negative or 0. The layer is
 * undecided (foreign_packing) if there is not one scale for all, or it cannot be read, because
 * what the values are is not known; with `latents` too, because these have no such scale. */
void findings_add_scale_beside(struct file_findings *findings,
                               const struct checkpoint_options *options,
                               const struct contents *claim, bool latents, size_t index);

/* Why a layer with a scale beside it is not packed. */
extern const char scale_beside_refusal[];

#endif
