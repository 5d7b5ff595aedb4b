/* SPDX-License-Identifier: Apache-2.0 */
/* Element types that files may have. The daemon computes with some of them; tensors of
 * the others are only copied. */
#ifndef FILES_ELEMENT_H
#define FILES_ELEMENT_H

#include <stdint.h>

#include "trit/types.h"

struct element_type {
    const char *name;      /* as safetensors writes it, "BF16" */
    uint32_t bits;         /* of one element; 4 and 6 exist */
    enum trit_dtype dtype; /* TRIT_DTYPE_UNSPECIFIED: only passed through */
};

/* NULL if there is none. Entries are static: compare them by pointer. */
const struct element_type *element_type_by_name(const char *name);
const struct element_type *element_type_of(enum trit_dtype dtype);

#endif
