/* SPDX-License-Identifier: Apache-2.0 */
#include "files/element.h"

#include <stddef.h>
#include <string.h>

/* The reference reader's list (safetensors/src/tensor.rs, enum Dtype). */
static const struct element_type types[] = {
    {"BOOL", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F4", 4, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F6_E2M3", 6, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F6_E3M2", 6, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"U8", 8, TRIT_U8, 0, 0, 0},
    {"I8", 8, TRIT_I8, 0, 0, 0},
    {"F8_E5M2", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F8_E4M3", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F8_E8M0", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F8_E4M3FNUZ", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F8_E5M2FNUZ", 8, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"I16", 16, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"U16", 16, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F16", 16, TRIT_F16, 0, 0, 0},
    {"BF16", 16, TRIT_BF16, 0, 0, 0},
    {"I32", 32, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"U32", 32, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F32", 32, TRIT_F32, 0, 0, 0},
    {"C64", 64, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"F64", 64, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"I64", 64, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
    {"U64", 64, TRIT_DTYPE_UNSPECIFIED, 0, 0, 0},
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

/* enum ggml_type of ggml's include/ggml.h, and the block structs of src/ggml-common.h. 142
 * and 143 are PrismML's. The numbers that are missing were removed, or are repacked at run
 * time and never stored. */
static const struct {
    uint32_t number;
    struct element_type type;
} block_types[] = {
    {2, {"Q4_0", 8, TRIT_DTYPE_UNSPECIFIED, 32, 18, 0}},
    {3, {"Q4_1", 8, TRIT_DTYPE_UNSPECIFIED, 32, 20, 0}},
    {6, {"Q5_0", 8, TRIT_DTYPE_UNSPECIFIED, 32, 22, 0}},
    {7, {"Q5_1", 8, TRIT_DTYPE_UNSPECIFIED, 32, 24, 0}},
    {8, {"Q8_0", 8, TRIT_DTYPE_UNSPECIFIED, 32, 34, 0}},
    {9, {"Q8_1", 8, TRIT_DTYPE_UNSPECIFIED, 32, 36, 0}},
    {10, {"Q2_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 84, 0}},
    {11, {"Q3_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 110, 0}},
    {12, {"Q4_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 144, 0}},
    {13, {"Q5_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 176, 0}},
    {14, {"Q6_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 210, 0}},
    {15, {"Q8_K", 8, TRIT_DTYPE_UNSPECIFIED, 256, 292, 0}},
    {16, {"IQ2_XXS", 8, TRIT_DTYPE_UNSPECIFIED, 256, 66, 0}},
    {17, {"IQ2_XS", 8, TRIT_DTYPE_UNSPECIFIED, 256, 74, 0}},
    {18, {"IQ3_XXS", 8, TRIT_DTYPE_UNSPECIFIED, 256, 98, 0}},
    {19, {"IQ1_S", 8, TRIT_DTYPE_UNSPECIFIED, 256, 50, 0}},
    {20, {"IQ4_NL", 8, TRIT_DTYPE_UNSPECIFIED, 32, 18, 0}},
    {21, {"IQ3_S", 8, TRIT_DTYPE_UNSPECIFIED, 256, 110, 0}},
    {22, {"IQ2_S", 8, TRIT_DTYPE_UNSPECIFIED, 256, 82, 0}},
    {23, {"IQ4_XS", 8, TRIT_DTYPE_UNSPECIFIED, 256, 136, 0}},
    {29, {"IQ1_M", 8, TRIT_DTYPE_UNSPECIFIED, 256, 56, 0}},
    {34, {"TQ1_0", 8, TRIT_U8, 256, 54, 0}},
    {35, {"TQ2_0", 8, TRIT_U8, 256, 66, 0}},
    {36, {"I2_S", 8, TRIT_U8, 128, 32, 32}}, /* of BitNet's fork of ggml */
    {39, {"MXFP4", 8, TRIT_DTYPE_UNSPECIFIED, 32, 17, 0}},
    {40, {"NVFP4", 8, TRIT_DTYPE_UNSPECIFIED, 64, 36, 0}},
    {41, {"Q1_0", 8, TRIT_DTYPE_UNSPECIFIED, 128, 18, 0}},
    {42, {"Q2_0", 8, TRIT_U8, 64, 18, 0}},
    {142, {"PQ2_0", 8, TRIT_U8, 128, 34, 0}},
    {143, {"PTQ1_0", 8, TRIT_U8, 128, 28, 0}},
};

enum { BLOCK_TYPES = sizeof(block_types) / sizeof(block_types[0]) };

static const struct {
    uint32_t number;
    const char *name;
} plain[] = {
    {0, "F32"},  {1, "F16"},  {24, "I8"},  {25, "I16"},
    {26, "I32"}, {27, "I64"}, {28, "F64"}, {30, "BF16"},
};

enum { PLAIN = sizeof(plain) / sizeof(plain[0]) };

int element_type_gguf(const struct element_type *type)
{
    for (size_t i = 0; i < BLOCK_TYPES; i++)
        if (&block_types[i].type == type)
            return (int)block_types[i].number;
    for (size_t i = 0; i < PLAIN; i++)
        if (strcmp(plain[i].name, type->name) == 0)
            return (int)plain[i].number;
    return -1;
}

const struct element_type *element_type_of_blocks(const char *name)
{
    for (size_t i = 0; i < BLOCK_TYPES; i++)
        if (strcmp(block_types[i].type.name, name) == 0)
            return &block_types[i].type;
    return NULL;
}

const struct element_type *element_type_of_gguf(uint32_t number, bool legacy_q2_0)
{
    const uint32_t q2_0 = 42, pq2_0 = 142;

    if (number == q2_0 && legacy_q2_0)
        number = pq2_0;
    for (size_t i = 0; i < PLAIN; i++)
        if (plain[i].number == number)
            return element_type_by_name(plain[i].name);
    for (size_t i = 0; i < BLOCK_TYPES; i++)
        if (block_types[i].number == number)
            return &block_types[i].type;
    return NULL;
}
