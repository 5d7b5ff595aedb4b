/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of an output: the input's, with what the reader of the encoding wants to
 * know.
 *   hf_bitnet: "quantization_config", as transformers' BitNetQuantConfig reads it
 *   mlx_2bit:  "quantization" and "quantization_config", as mlx-lm reads them
 * All else is carried over as it is. */
#ifndef CHECKPOINT_CONFIG_WRITE_H
#define CHECKPOINT_CONFIG_WRITE_H

#include "checkpoint/plan.h"

/* `text`: the input's config.json. Gives that of the output, malloc'ed with a NUL behind
 * it, in *out. INVALID_ARGUMENT where it is no JSON object. */
int config_write(const struct plan *plan, const char *text, size_t bytes, char **out,
                 struct failure *failure);

#endif
