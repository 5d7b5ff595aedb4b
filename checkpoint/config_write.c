/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/config_write.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Of "STEM.weight": the length of STEM, which is the module's name; else 0. */
static size_t module_length(const char *name)
{
    static const char leaf[] = ".weight";
    const size_t length = strlen(name), tail = sizeof(leaf) - 1;

    return length > tail && strcmp(name + length - tail, leaf) == 0 ? length - tail : 0;
}

/* How a weight that is copied stays packed. */
static enum packing kept_packing(const struct plan *plan, size_t index)
{
    const enum packing known = plan->contents.items[index].packing;

    if (plan->items[index].action != PLAN_KEEP)
        return PACKING_NONE;
    return known != PACKING_NONE && known != PACKING_TRIT
               ? known
               : foreign_packing_of(plan->contents.table,
                                    &plan->contents.table->entries[index]);
}

static bool keeps(const struct plan *plan, enum packing packing)
{
    for (size_t i = 0; i < plan->contents.table->count; i++)
        if (kept_packing(plan, i) == packing)
            return true;
    return false;
}

static bool keeps_any(const struct plan *plan)
{
    for (size_t i = 0; i < plan->contents.table->count; i++)
        if (kept_packing(plan, i) != PACKING_NONE)
            return true;
    return false;
}

static bool packs(const struct plan *plan)
{
    for (size_t i = 0; i < plan->contents.table->count; i++)
        if (plan->items[i].action == PLAN_PACK)
            return true;
    return false;
}

/* ---- transformers' block of bitnet ----------------------------------------------------- */

/* Is it a weight that bitnet's reader would take for packed, unless told otherwise? */
static bool is_bitnet_dense(const struct plan *plan, size_t index)
{
    const enum tensor_role role = plan->contents.items[index].role;
    const bool bitnet = plan->terms.encoding == TRIT_ENCODING_HF_BITNET;

    return plan->contents.table->entries[index].rank == 2 &&
           (role == ROLE_LINEAR || role == ROLE_HEAD || role == ROLE_ROUTER) &&
           (plan->items[index].action == PLAN_KEEP || !bitnet) &&
           kept_packing(plan, index) != PACKING_HF_BITNET;
}

/* The modules of these weights: "lm_head" of "lm_head.weight". */
static json_t *dense_modules(const struct plan *plan)
{
    const struct tensor_table *table = plan->contents.table;
    json_t *modules = json_array();
    int result = modules ? 0 : -1;

    for (size_t i = 0; result == 0 && i < table->count; i++) {
        const char *name = table->entries[i].name;

        if (is_bitnet_dense(plan, i) && module_length(name))
            result =
                json_array_append_new(modules, json_stringn(name, module_length(name)));
    }
    if (result == 0)
        return modules;
    json_decref(modules);
    return NULL;
}

static json_t *bitnet_block(const struct plan *plan)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "quant_method", "bitnet",
                     "linear_class", "autobitlinear", "quantization_mode", "offline",
                     "use_rms_norm", 0, "modules_to_not_convert", dense_modules(plan));
}

/* ---- MLX's block ----------------------------------------------------------------------- */

/* Members of MLX's block that say how one module is packed, in place of the block. */
static const char *const mlx_members[] = {"group_size", "bits", "mode"};

/* How the block `old` says that a module is packed; a new reference, or NULL. */
static json_t *mlx_terms(const json_t *old, const char *module)
{
    json_t *own = json_object_get(old, module);
    json_t *terms = json_object();

    if (own) {
        json_decref(terms);
        return json_incref(own);
    }
    for (size_t i = 0; i < sizeof(mlx_members) / sizeof(mlx_members[0]); i++) {
        json_t *value = json_object_get(old, mlx_members[i]);

        if (value && json_object_set(terms, mlx_members[i], value) < 0) {
            json_decref(terms);
            return NULL;
        }
    }
    return terms;
}

/* Puts into `block` how a module stays packed; if it stays so no more, removes that. */
static int settle_module(json_t *block, const json_t *old, const struct plan *plan,
                         size_t index)
{
    char module[FILES_NAME_BYTES_MAX + 1];
    const char *name = plan->contents.table->entries[index].name;
    const size_t length = module_length(name);

    if (length == 0 || length >= sizeof(module))
        return 0;
    memcpy(module, name, length);
    module[length] = '\0';
    if (kept_packing(plan, index) == PACKING_MLX)
        return block == old ? 0
                            : json_object_set_new(block, module, mlx_terms(old, module));
    if (plan->items[index].action == PLAN_PACK)
        json_object_del(block, module);
    return 0;
}

static int settle_modules(json_t *block, const json_t *old, const struct plan *plan)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < plan->contents.table->count; i++)
        result = settle_module(block, old, plan, i);
    return result;
}

/* The block of layers that become mlx_2bit; other MLX weights that stay have theirs in it. */
static json_t *mlx_block(const json_t *config, const struct plan *plan)
{
    const json_t *old = json_object_get(config, "quantization");
    json_t *block =
        json_pack("{s:i, s:i}", "group_size", (int)plan->terms.group_size, "bits", 2);

    if (!json_is_object(old) || !block || settle_modules(block, old, plan) == 0)
        return block;
    json_decref(block);
    return NULL;
}

/* ---- the file ---------------------------------------------------------------------------- */

static int settle_mlx(json_t *config, const char *key, const struct plan *plan)
{
    json_t *block = json_object_get(config, key);

    if (keeps(plan, PACKING_MLX))
        return block ? settle_modules(block, block, plan) : 0;
    json_object_del(config, key);
    return 0;
}

/* Layers that were packed may be so no more, and readers of their block would take them for
 * that. Where weights stay packed, so does their block. */
static int settle_blocks(json_t *config, const struct plan *plan)
{
    static const char key[] = "quantization_config";
    json_t *block = json_object_get(config, key);
    const char *method = json_string_value(json_object_get(block, "quant_method"));

    if (settle_mlx(config, "quantization", plan) < 0)
        return -1;
    if (!method) /* a copy of MLX's block */
        return settle_mlx(config, key, plan);
    if (strcmp(method, "bitnet") == 0 && keeps(plan, PACKING_HF_BITNET))
        return json_object_set_new(block, "modules_to_not_convert", dense_modules(plan));
    if (strcmp(method, "bitnet") == 0 || !keeps_any(plan))
        json_object_del(config, key);
    return 0;
}

static int put_mlx_block(json_t *config, const struct plan *plan)
{
    json_t *block = mlx_block(config, plan);
    const int result = json_object_set(config, "quantization", block) |
                       json_object_set(config, "quantization_config", block);

    json_decref(block);
    return result;
}

static int put_blocks(json_t *config, const struct plan *plan)
{
    if (plan->terms.encoding == TRIT_ENCODING_MLX_2BIT)
        return put_mlx_block(config, plan);
    if (packs(plan) && settle_blocks(config, plan) < 0)
        return -1;
    return plan->terms.encoding == TRIT_ENCODING_HF_BITNET
               ? json_object_set_new(config, "quantization_config", bitnet_block(plan))
               : 0;
}

int config_write(const struct plan *plan, const char *text, size_t bytes, char **out,
                 struct failure *failure)
{
    struct json_fault fault;
    json_t *config = json_read(text, bytes, JSON_READ_INFINITY, &fault);
    char *written = NULL;

    if (!config)
        return fail(failure, json_fault_status(&fault), NULL, "config.json, line %zu: %s",
                    fault.line, fault.words);
    if (!json_is_object(config)) {
        json_decref(config);
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "config.json: it is not a JSON object");
    }
    if (put_blocks(config, plan) == 0)
        written = json_print(config, JSON_PRINT_INDENTED | JSON_PRINT_INFINITY, NULL);
    json_decref(config);
    if (!written)
        return no_memory(failure);
    *out = written;
    return 0;
}
