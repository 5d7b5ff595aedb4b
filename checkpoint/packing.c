/* SPDX-License-Identifier: Apache-2.0 */
/* A packing is found from a weight. Its name gives the names of possible companions, and
 * those that exist tell the packing. */
#include "checkpoint/packing.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/form.h"
#include "checkpoint/hqq.h"
#include "checkpoint/keras_names.h"
#include "checkpoint/name_parts.h"
#include "checkpoint/naming.h"

/* Companions that several rules need. */
enum {
    HAS_SCALES = 1 << 0,       /* scales */
    HAS_QZEROS = 1 << 1,       /* qzeros */
    HAS_ABSMAX = 1 << 2,       /* absmax, SCB */
    HAS_WEIGHT_SCALE = 1 << 3, /* weight_scale, weight_scale_inv */
    HAS_OWN_SCALES = 1 << 4,   /* NAME.scales */
    HAS_METADATA = 1 << 5,     /* metadata */
    HAS_NBITS = 1 << 6,        /* a setting of HQQ */
    HAS_OTHER = 1 << 7,
};

/* Names of tables that belong to a whole module, together with its weight. */
static const struct {
    const char *leaf;
    unsigned has;
} module_tables[] = {
    {"scales", HAS_SCALES},
    {"biases", HAS_OTHER},
    {"zeros", HAS_OTHER},
    {"qzeros", HAS_QZEROS},
    {"g_idx", HAS_OTHER},
    {"SCB", HAS_ABSMAX},
    {"weight_format", HAS_OTHER},
    {"absmax", HAS_ABSMAX},
    {"quant_map", HAS_OTHER},
    {"weight_scale", HAS_WEIGHT_SCALE},
    {"weight_scale_inv", HAS_WEIGHT_SCALE},
    {"weight_global_scale", HAS_OTHER},
    {"weight_scale_2", HAS_OTHER},
    {"weight_zero_point", HAS_OTHER},
    {"weight_shape", HAS_OTHER},
    {"weight_g_idx", HAS_OTHER},
    {"weight_scales", HAS_OTHER},
    {"metadata", HAS_METADATA}, /* gemlite */
    {"orig_shape", HAS_OTHER},
    {"meta_scale", HAS_OTHER},
    {"input_scale", HAS_OTHER},
    {"input_global_scale", HAS_OTHER},
    {"scale", HAS_OTHER},
    {"scale_inv", HAS_OTHER},
    {"scale_weight", HAS_OTHER},
    {"zero", HAS_OTHER},
    {"zero_point", HAS_OTHER},
    {"_scale", HAS_OTHER},
    {"_shift", HAS_OTHER},
    {"q_scale", HAS_OTHER},
    {"q_scale_max", HAS_OTHER},
    {"q_groups", HAS_OTHER},
    {"q_group_map", HAS_OTHER},
    {"q_invperm", HAS_OTHER},
    {"q_perm", HAS_OTHER},
    {"perm", HAS_OTHER},
    {"workspace", HAS_OTHER}, /* Marlin */
    {"codebooks", HAS_OTHER},
    {"tables", HAS_OTHER}, /* HIGGS */
    {"tables2", HAS_OTHER},
    {"s", HAS_OTHER},   /* Marlin */
    {"suh", HAS_OTHER}, /* EXL3 */
    {"svh", HAS_OTHER},
    {"SU", HAS_OTHER}, /* QuIP# */
    {"SV", HAS_OTHER},
    {"Wscale", HAS_OTHER},
    {"codebook_id", HAS_OTHER},
    {"centroids.weight", HAS_OTHER}, /* VPTQ */
    {"res_centroids.weight", HAS_OTHER},
    {"outlier_centroids.weight", HAS_OTHER},
};

enum { MODULE_TABLES = sizeof(module_tables) / sizeof(module_tables[0]) };

static bool type_is(const struct element_type *type, const char *prefix)
{
    return strncmp(type->name, prefix, strlen(prefix)) == 0;
}

bool type_is_packed(const struct element_type *type)
{
    static const char *const packed[] = {"U8",  "I8", "U16", "I16", "U32",
                                         "I32", "F8", "F6",  "F4"};

    for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
        if (type_is(type, packed[i]))
            return true;
    return false;
}

/* ---- companions -------------------------------------------------------------- */

typedef void (*visit_fn)(void *arg, size_t index, unsigned has);

static void visit_name(const struct tensor_table *table, const char *name, unsigned has,
                       visit_fn visit, void *arg)
{
    const struct tensor_entry *entry = table_find(table, name);

    if (entry)
        visit(arg, (size_t)(entry - table->entries), has);
}

/* Tables whose names begin with the prefix, except the weight itself. */
static void visit_prefix(const struct tensor_table *table, const char *prefix,
                         visit_fn visit, void *arg)
{
    const size_t length = strlen(prefix);

    for (size_t i = table_first_of(table, prefix, length); i < table->count; i++) {
        size_t index = table->by_name[i];
        const char *name = table->entries[index].name;

        if (strncmp(name, prefix, length) != 0)
            break;
        if (!name_is_packing_table(name))
            continue;
        visit(arg, index,
              strcmp(name + length, "absmax") == 0 ? HAS_ABSMAX
              : strcmp(name + length, "scales") == 0 && name[length - 1] == '.'
                  ? HAS_OWN_SCALES
                  : HAS_OTHER);
    }
}

/* Suffixes of weights; what remains is the prefix of their tables' names. */
static size_t stem_bytes(const char *name)
{
    static const char *const endings[] = {"qdata", "packed", "blocks"};
    const size_t length = strlen(name), quanto = strlen("._data._data");

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]);

        if (length > ending + 1 && strcmp(name + length - ending, endings[i]) == 0 &&
            name[length - ending - 1] == '_')
            return length - ending;
    }
    return length > quanto && strcmp(name + length - quanto, "._data._data") == 0
               ? length - quanto + 1
               : 0;
}

static bool is_named(const struct tensor_entry *entry, const char *leaf)
{
    return strcmp(name_leaf(entry->name), leaf) == 0;
}

/* A tensor of the same module. */
static void visit_beside(const struct tensor_table *table,
                         const struct tensor_entry *weight, const char *leaf,
                         unsigned has, visit_fn visit, void *arg)
{
    char name[NAME_BESIDE_BYTES];

    name_beside(weight->name, leaf, name);
    visit_name(table, name, has, visit, arg);
}

static void visit_hqq(const struct tensor_table *table, const struct tensor_entry *weight,
                      visit_fn visit, void *arg)
{
    if (!hqq_is_weight(table, weight))
        return;
    for (size_t i = 0; hqq_settings[i]; i++)
        visit_beside(table, weight, hqq_settings[i], HAS_NBITS, visit, arg);
}

/* All tensors of a module that has one weight, if they are named like tables. */
static void visit_module(const struct tensor_table *table,
                         const struct tensor_entry *weight, visit_fn visit, void *arg)
{
    const size_t base = (size_t)(name_leaf(weight->name) - weight->name);

    if (!is_named(weight, "weight"))
        return;
    for (size_t i = table_first_of(table, weight->name, base); i < table->count; i++) {
        const size_t index = table->by_name[i];
        const char *name = table->entries[index].name;

        if (strncmp(name, weight->name, base) != 0)
            break;
        if (!strchr(name + base, '.') && name_is_packing_table(name))
            visit(arg, index, HAS_OTHER);
    }
}

static void visit_companions(const struct tensor_table *table,
                             const struct tensor_entry *weight, visit_fn visit, void *arg)
{
    char name[FILES_NAME_BYTES_MAX + 32];
    size_t stem = stem_bytes(weight->name);

    if (name_is_packing_table(weight->name))
        return;
    for (size_t i = 0; i < MODULE_TABLES; i++)
        visit_beside(table, weight, module_tables[i].leaf, module_tables[i].has, visit,
                     arg);
    visit_hqq(table, weight, visit, arg);
    visit_module(table, weight, visit, arg);
    snprintf(name, sizeof(name), "%s.", weight->name);
    visit_prefix(table, name, visit, arg);
    snprintf(name, sizeof(name), "%s_", weight->name);
    visit_prefix(table, name, visit, arg);
    if (stem) {
        snprintf(name, sizeof(name), "%.*s", (int)stem, weight->name);
        visit_prefix(table, name, visit, arg);
    }
}

struct forward {
    void (*visit)(void *arg, size_t index);
    void *arg;
};

static void forward_visit(void *arg, size_t index, unsigned has)
{
    const struct forward *forward = arg;

    (void)has;
    forward->visit(forward->arg, index);
}

void packing_visit(const struct tensor_table *table, const struct tensor_entry *weight,
                   void (*visit)(void *arg, size_t index), void *arg)
{
    struct forward forward = {visit, arg};
    const size_t scale = keras_scale(table, weight);

    if (scale != SIZE_MAX)
        visit(arg, scale);
    visit_companions(table, weight, forward_visit, &forward);
}

/* ---- which packing ------------------------------------------------------------- */

struct companions {
    const struct tensor_table *table;
    unsigned has;
    const struct tensor_entry *scales;       /* of HAS_SCALES, or NULL */
    const struct tensor_entry *weight_scale; /* of HAS_WEIGHT_SCALE, or NULL */
};

static void note_companion(void *arg, size_t index, unsigned has)
{
    struct companions *found = arg;

    found->has |= has;
    if (has == HAS_SCALES)
        found->scales = &found->table->entries[index];
    if (has == HAS_WEIGHT_SCALE)
        found->weight_scale = &found->table->entries[index];
}

/* GPTQ packs along the rows of its transposed weight, AWQ along the columns. */
static enum packing gptq_or_awq(const struct tensor_entry *weight,
                                const struct tensor_entry *scales)
{
    return scales && scales->rank == 2 && weight->rank == 2 &&
                   weight->shape[1] < scales->shape[1]
               ? PACKING_AWQ
               : PACKING_GPTQ;
}

/* microsoft/BitNet, gpu/pack_weight.py and gpu/model.py: tiles of 16 x 32 weights, four in a
 * byte, and always four scales, of which those that the layer does not need are 0. */
static bool is_bitnet_gpu(const struct tensor_entry *weight,
                          const struct tensor_entry *scale)
{
    enum { SCALES = 4, TILE_ROWS = 16, TILE_BYTES = 32 / 4 };

    return scale && scale->rank == 1 && scale->shape[0] == SCALES && weight->rank == 2 &&
           weight->shape[0] % TILE_ROWS == 0 && weight->shape[1] % TILE_BYTES == 0;
}

static enum packing of_bytes(const struct tensor_entry *weight,
                             const struct companions *found)
{
    uint64_t elements;

    if (found->has & HAS_ABSMAX)
        return PACKING_BITSANDBYTES;
    if (type_is(weight->type, "I8") && (found->has & HAS_OWN_SCALES))
        return PACKING_INT8;
    if (type_is(weight->type, "I8") && is_bitnet_gpu(weight, found->weight_scale))
        return PACKING_BITNET_GPU;
    if (type_is(weight->type, "I8") && (found->has & HAS_WEIGHT_SCALE))
        return PACKING_COMPRESSED_TENSORS;
    if (found->weight_scale && weight->rank == 2 &&
        shape_elements(found->weight_scale->rank, found->weight_scale->shape,
                       &elements) &&
        elements == 1)
        return PACKING_HF_BITNET;
    return PACKING_OTHER;
}

/* PyTorch's FSDP calls them flat_param, and earlier _flat_param and flat_param_0. */
static bool is_flat(const struct tensor_entry *entry)
{
    const char *leaf = name_leaf(entry->name);

    leaf += leaf[0] == '_';
    return entry->rank == 1 && strncmp(leaf, "flat_param", strlen("flat_param")) == 0;
}

/* The values of a sparse matrix are a vector, and tensors beside it say where they belong:
 * weight.values and weight.indices, or compressed-tensors' weight.compressed and
 * weight.bitmask. */
static bool is_sparse(const struct tensor_table *table, const struct tensor_entry *entry)
{
    static const char *const endings[] = {"values", "compressed", "dense_weights",
                                          "data"};
    static const char *const places[] = {"indices",     "bitmask",     "row_offsets",
                                         "col_indices", "row_indices", "crow_indices",
                                         "col_vals",    "indptr"};
    const size_t length = strlen(entry->name);
    char name[FILES_NAME_BYTES_MAX + 32];

    if (entry->rank != 1)
        return false;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (!name_ends_with(entry->name, endings[i]))
            continue;
        for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
            snprintf(name, sizeof(name), "%.*s%s", (int)(length - strlen(endings[i])),
                     entry->name, places[k]);
            if (table_find(table, name))
                return true;
        }
    }
    return false;
}

/* Is there a tensor in the same module, those with the first `base` bytes of the name and no
 * further dot, that may be packed? */
static bool has_packed_beside(const struct tensor_table *table, const char *name,
                              size_t base)
{
    for (size_t i = table_first_of(table, name, base); i < table->count; i++) {
        const struct tensor_entry *beside = &table->entries[table->by_name[i]];

        if (strncmp(beside->name, name, base) != 0)
            return false;
        if (!strchr(beside->name + base, '.') && !name_is_packing_table(beside->name) &&
            (beside->rank > 1 || !type_holds(beside->type, TRIT_ENCODING_DENSE)))
            return true;
    }
    return false;
}

bool packing_is_no_table(const struct tensor_table *table,
                         const struct tensor_entry *entry)
{
    char name[NAME_BESIDE_BYTES];
    const size_t base = (size_t)(name_leaf(entry->name) - entry->name);
    const struct tensor_entry *weight;
    uint64_t elements, weights;

    name_beside(entry->name, "weight", name);
    weight = table_find(table, name);
    if (!weight && base > 0) { /* m.weight.scales */
        snprintf(name, sizeof(name), "%.*s", (int)base - 1, entry->name);
        weight = table_find(table, name);
    }
    if (entry->rank < 2)
        return false;
    if (!weight)
        return !has_packed_beside(table, entry->name, base);
    return type_holds(weight->type, TRIT_ENCODING_DENSE) &&
           shape_elements(entry->rank, entry->shape, &elements) &&
           shape_elements(weight->rank, weight->shape, &weights) &&
           elements > weights / 2;
}

const char *packing_dense_name(const struct tensor_table *table, const char *name,
                               char text[FILES_NAME_BYTES_MAX + 1])
{
    static const char *const endings[] = {".weight_packed", ".W_q"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (name_ends_with(name, endings[i])) {
            const int stem = (int)(strlen(name) - strlen(endings[i]));
            const int bytes =
                snprintf(text, FILES_NAME_BYTES_MAX + 1, "%.*s.weight", stem, name);

            return bytes <= FILES_NAME_BYTES_MAX && !table_find(table, text) ? text
                                                                             : NULL;
        }
    return NULL;
}

enum packing packing_in_floats(const struct tensor_table *table,
                               const struct tensor_entry *entry)
{
    static const char state[] = ".quant_state.bitsandbytes__";
    char name[FILES_NAME_BYTES_MAX + 32];

    if (!type_holds(entry->type, TRIT_ENCODING_DENSE))
        return PACKING_NONE;
    if (hqq_is_weight(table, entry))
        return PACKING_HQQ;
    const int length = snprintf(name, sizeof(name), "%s%s", entry->name, state);
    return table_has_prefix(table, name, (size_t)length) ? PACKING_BITSANDBYTES
                                                         : PACKING_NONE;
}

enum packing foreign_packing_of(const struct tensor_table *table,
                                const struct tensor_entry *entry)
{
    struct companions found = {.table = table};

    if (is_flat(entry))
        return PACKING_FSDP;
    if (is_sparse(table, entry))
        return PACKING_SPARSE;
    if (element_type_is_block(entry->type))
        return PACKING_GGUF;
    if (packing_in_floats(table, entry) != PACKING_NONE)
        return packing_in_floats(table, entry);
    if (!type_is_packed(entry->type) || hqq_is_setting(table, entry))
        return PACKING_NONE;
    if (keras_scale(table, entry) != SIZE_MAX)
        return PACKING_KERAS;
    visit_companions(table, entry, note_companion, &found);
    if (!found.has)
        return PACKING_NONE;
    if (name_ends_with(entry->name, "qweight") && (found.has & HAS_QZEROS))
        return gptq_or_awq(entry, found.scales);
    if (name_ends_with(entry->name, "weight_packed"))
        return PACKING_COMPRESSED_TENSORS;
    if (name_ends_with(entry->name, "W_q") && (found.has & HAS_METADATA))
        return PACKING_GEMLITE;
    if (found.has & HAS_NBITS)
        return PACKING_HQQ;
    if (name_ends_with(entry->name, "_qdata"))
        return PACKING_TORCHAO;
    if (name_ends_with(entry->name, "_blocks"))
        return PACKING_MXFP4;
    if (type_is(entry->type, "U32") && (found.has & HAS_SCALES))
        return PACKING_MLX;
    if (type_is(entry->type, "F8"))
        return PACKING_FP8;
    if (type_is(entry->type, "U8") || type_is(entry->type, "I8"))
        return of_bytes(entry, &found);
    return PACKING_OTHER;
}
