/* SPDX-License-Identifier: Apache-2.0 */
#include "files/element.h"

#include <stddef.h>
#include <string.h>

/* The reference reader's list (safetensors/src/tensor.rs, enum Dtype). */
static const struct element_type types[] = {
    {"BOOL", 8, TRIT_DTYPE_UNSPECIFIED},
    {"F4", 4, TRIT_DTYPE_UNSPECIFIED},
    {"F6_E2M3", 6, TRIT_DTYPE_UNSPECIFIED},
    {"F6_E3M2", 6, TRIT_DTYPE_UNSPECIFIED},
    {"U8", 8, TRIT_U8},
    {"I8", 8, TRIT_I8},
    {"F8_E5M2", 8, TRIT_DTYPE_UNSPECIFIED},
    {"F8_E4M3", 8, TRIT_DTYPE_UNSPECIFIED},
    {"F8_E8M0", 8, TRIT_DTYPE_UNSPECIFIED},
    {"F8_E4M3FNUZ", 8, TRIT_DTYPE_UNSPECIFIED},
    {"F8_E5M2FNUZ", 8, TRIT_DTYPE_UNSPECIFIED},
    {"I16", 16, TRIT_DTYPE_UNSPECIFIED},
    {"U16", 16, TRIT_DTYPE_UNSPECIFIED},
    {"F16", 16, TRIT_F16},
    {"BF16", 16, TRIT_BF16},
    {"I32", 32, TRIT_DTYPE_UNSPECIFIED},
    {"U32", 32, TRIT_DTYPE_UNSPECIFIED},
    {"F32", 32, TRIT_F32},
    {"C64", 64, TRIT_DTYPE_UNSPECIFIED},
    {"F64", 64, TRIT_DTYPE_UNSPECIFIED},
    {"I64", 64, TRIT_DTYPE_UNSPECIFIED},
    {"U64", 64, TRIT_DTYPE_UNSPECIFIED},
};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

const struct element_type *element_type_by_name(const char *name)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct element_type *element_type_of(enum trit_dtype dtype)
{
    if (dtype == TRIT_DTYPE_UNSPECIFIED)
        return NULL;
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype)
            return &types[i];
    return NULL;
}
