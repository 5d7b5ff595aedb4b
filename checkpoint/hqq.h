/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a layer that HQQ packed: codes in W_q, and each setting in a tensor of its own
 * (HQQLinear.state_dict_keys). */
#ifndef CHECKPOINT_HQQ_H
#define CHECKPOINT_HQQ_H

#include <stdbool.h>

#include "files/table.h"

extern const char *const hqq_settings[]; /* names beside W_q, ends with NULL */

/* Is it W_q, or another tensor of a module that has W_q? */
bool hqq_is_weight(const struct tensor_table *table, const struct tensor_entry *entry);
bool hqq_is_setting(const struct tensor_table *table, const struct tensor_entry *entry);

#endif
