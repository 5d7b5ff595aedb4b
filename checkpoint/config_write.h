/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the config.json of an output: that of the input, plus the members that programs
 * which read the encoding need.
 *   hf_bitnet: "quantization_config", as transformers' BitNetQuantConfig reads it
 *   mlx_2bit:  "quantization" and "quantization_config", as mlx-lm reads them
 * All other members are copied unchanged. */
#ifndef CHECKPOINT_CONFIG_WRITE_H
#define CHECKPOINT_CONFIG_WRITE_H

#include "checkpoint/plan.h"

/* `text` is the input's config.json. *out gets the output's: malloc'ed, followed by a
 * NUL; the caller frees it. INVALID_ARGUMENT: `text` is not a JSON object. */
int config_write(const struct plan *plan, const char *text, size_t bytes, char **out,
                 struct failure *failure);

#endif
