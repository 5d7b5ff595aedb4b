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

/* Modules of linear layers that stay dense: "lm_head" of "lm_head.weight". */
static json_t *kept_modules(const struct plan *plan)
{
    const struct tensor_table *table = plan->contents.table;
    static const char leaf[] = ".weight";
    json_t *modules = json_array();
    int result = modules ? 0 : -1;

    for (size_t i = 0; result == 0 && i < table->count; i++) {
        const enum tensor_role role = plan->contents.items[i].role;
        const char *name = table->entries[i].name;
        const size_t length = strlen(name);

        if (plan->items[i].action == PLAN_KEEP && table->entries[i].rank == 2 &&
            (role == ROLE_LINEAR || role == ROLE_HEAD || role == ROLE_ROUTER) &&
            length > sizeof(leaf) - 1 &&
            strcmp(name + length - (sizeof(leaf) - 1), leaf) == 0)
            result = json_array_append_new(
                modules, json_stringn(name, length - (sizeof(leaf) - 1)));
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
                     "use_rms_norm", 0, "modules_to_not_convert", kept_modules(plan));
}

static json_t *mlx_block(const struct plan *plan)
{
    return json_pack("{s:i, s:i}", "group_size", (int)plan->terms.group_size, "bits", 2);
}

static bool packs(const struct plan *plan)
{
    for (size_t i = 0; i < plan->contents.table->count; i++)
        if (plan->items[i].action == PLAN_PACK)
            return true;
    return false;
}

/* Layers that were packed as bitnet or by another program are so no more, and its readers
 * would take them for that. Where weights stay as another program packed them, so does its
 * block. */
static void remove_blocks(json_t *config, const struct plan *plan)
{
    const json_t *block = json_object_get(config, "quantization_config");
    const char *method = json_string_value(json_object_get(block, "quant_method"));
    bool stays = false;

    for (size_t i = 0; i < plan->contents.table->count; i++)
        stays |= plan->items[i].action == PLAN_KEEP &&
                 plan->contents.items[i].packing != PACKING_NONE;
    if (!stays || !method || strcmp(method, "bitnet") == 0)
        json_object_del(config, "quantization_config");
    json_object_del(config, "quantization");
}

static int put_blocks(json_t *config, const struct plan *plan)
{
    if (packs(plan))
        remove_blocks(config, plan);
    switch (plan->terms.encoding) {
    case TRIT_ENCODING_HF_BITNET:
        return json_object_set_new(config, "quantization_config", bitnet_block(plan));
    case TRIT_ENCODING_MLX_2BIT:
        return json_object_set_new(config, "quantization", mlx_block(plan)) |
               json_object_set_new(config, "quantization_config", mlx_block(plan));
    case TRIT_ENCODING_DENSE:
    case TRIT_ENCODING_INT8:
    case TRIT_ENCODING_PQ2_0:
    case TRIT_ENCODING_Q2_0:
    case TRIT_ENCODING_PTQ1_0:
    case TRIT_ENCODING_TQ1_0:
    case TRIT_ENCODING_TQ2_0:
    case TRIT_ENCODING_I2_S:
        break;
    }
    return 0;
}

int config_write(const struct plan *plan, const char *text, size_t bytes, char **out,
                 struct failure *failure)
{
    struct json_fault fault;
    json_t *config = json_read(text, bytes, 0, &fault);
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
        written = json_print(config, JSON_PRINT_INDENTED, NULL);
    json_decref(config);
    if (!written)
        return no_memory(failure);
    *out = written;
    return 0;
}
