/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/needed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/needed_table.h"
#include "checkpoint/selection.h"

enum { BLOCKS_MAX = 1 << 16, EXPERTS_MAX = 1 << 12, NAME_BYTES = 128, BLOCK_BYTES = 40 };

struct search {
    struct file_findings *findings;
    const struct checkpoint_options *options;
    const struct contents *claim;
    struct needed_model model;
};

/* What is missing of one module, of all blocks and experts. */
struct lack {
    char first[NAME_BYTES];
    uint64_t count;
};

/* ---- what is there ---------------------------------------------------------------- */

/* Has the module a tensor besides its bias, however it is packed? */
static bool has_module(const struct tensor_table *table, const char *module)
{
    char prefix[NAME_BYTES + 1];
    const size_t length = (size_t)snprintf(prefix, sizeof(prefix), "%s.", module);

    for (size_t i = table_first_of(table, prefix, length); i < table->count; i++) {
        const char *name = table->entries[table->by_name[i]].name;

        if (strncmp(name, prefix, length) != 0)
            return false;
        if (strcmp(name + length, "bias") != 0)
            return true;
    }
    return false;
}

static bool is_among(const char *const *modules, const char *text, size_t bytes)
{
    for (; *modules; modules++)
        if (strlen(*modules) == bytes && memcmp(*modules, text, bytes) == 0)
            return true;
    return false;
}

/* Has the block layers of other names there, which may have the place of those of the group? */
static bool has_others(const struct search *search, const char *block,
                       const struct needed_group *group)
{
    const struct tensor_table *table = search->claim->table;
    char prefix[NAME_BYTES];
    const size_t length =
        (size_t)snprintf(prefix, sizeof(prefix), "%s%s", block, group->around);

    for (size_t i = table_first_of(table, prefix, length); i < table->count; i++) {
        const size_t index = table->by_name[i];
        const char *name = table->entries[index].name;
        const enum tensor_role role = search->claim->items[index].role;

        if (strncmp(name, prefix, length) != 0)
            return false;
        if ((role == ROLE_LINEAR || role == ROLE_EXPERTS) &&
            !is_among(group->modules, name + length, strcspn(name + length, ".")))
            return true;
    }
    return false;
}

/* Has the block numbered experts? */
static bool has_experts(const struct search *search, const char *block)
{
    const struct tensor_table *table = search->claim->table;
    char prefix[NAME_BYTES];

    if (!search->model.router)
        return false;
    const size_t length = (size_t)snprintf(prefix, sizeof(prefix), "%s%s", block,
                                           search->model.experts.around);
    const size_t first = table_first_of(table, prefix, length);
    const char *name =
        first < table->count ? table->entries[table->by_name[first]].name : "";
    return strncmp(name, prefix, length) == 0 && strspn(name + length, "0123456789") > 0;
}

/* ---- what is missing ---------------------------------------------------------------- */

static bool is_told(const struct file_findings *findings, const char *name)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct file_finding *one = &findings->list[i];

        if ((one->layer && strcmp(one->layer, name) == 0) ||
            (one->tensor && strcmp(one->tensor, name) == 0))
            return true;
    }
    return false;
}

static void note(const struct search *search, const char *module, struct lack *lack)
{
    char name[NAME_BYTES + sizeof(".weight")];

    snprintf(name, sizeof(name), "%s.weight", module);
    if (has_module(search->claim->table, module) ||
        selection_of(search->options, name) == SELECTION_EXCLUDED)
        return;
    if (lack->count++ == 0)
        snprintf(lack->first, sizeof(lack->first), "%s", module);
}

static void tell(const struct search *search, const struct lack *lack, bool is_layer,
                 const char *hint)
{
    char name[NAME_BYTES + sizeof(".weight")];

    snprintf(name, sizeof(name), "%s.weight", lack->first);
    if (lack->count == 0 || is_told(search->findings, name))
        return;
    struct trit_finding *added = findings_add_missing(search->findings, is_layer, name);
    if (!added)
        return;
    added->has_count = true;
    added->count = lack->count;
    finding_set_hint(added, hint);
}

static void block_name(char block[BLOCK_BYTES], const struct search *search, uint64_t i)
{
    snprintf(block, BLOCK_BYTES, "%s%" PRIu64 ".", search->model.blocks, i);
}

static void check_module(const struct search *search, const struct needed_group *group,
                         const char *leaf)
{
    const struct tensor_table *table = search->claim->table;
    struct lack lack = {.count = 0};
    char block[BLOCK_BYTES], name[NAME_BYTES], hint[TRIT_FINDING_HINT_BYTES_MAX + 1];

    for (uint64_t i = 0; i < search->model.block_count; i++) {
        block_name(block, search, i);
        if (!table_has_prefix(table, block, strlen(block)) ||
            (!group->norms && has_others(search, block, group)))
            continue;
        snprintf(name, sizeof(name), "%s%s%s", block, group->around, leaf);
        note(search, name, &lack);
    }
    snprintf(hint, sizeof(hint),
             "by %s each of the %" PRIu64 " blocks has this %s; %" PRIu64
             " lack it, from this one on",
             search->model.said_by, search->model.block_count,
             group->norms ? "norm" : "layer", lack.count);
    tell(search, &lack, !group->norms, hint);
}

static void check_experts(const struct search *search, const char *leaf)
{
    const uint64_t experts = search->model.expert_count;
    struct lack lack = {.count = 0};
    char block[BLOCK_BYTES], name[NAME_BYTES], hint[TRIT_FINDING_HINT_BYTES_MAX + 1];

    for (uint64_t i = 0; i < search->model.block_count; i++) {
        block_name(block, search, i);
        for (uint64_t k = 0; has_experts(search, block) && k < experts; k++) {
            snprintf(name, sizeof(name), "%s%s%" PRIu64 ".%s", block,
                     search->model.experts.around, k, leaf);
            note(search, name, &lack);
        }
    }
    snprintf(hint, sizeof(hint),
             "by config.json each block has %" PRIu64 " experts; %" PRIu64
             " lack this layer, from this one on",
             experts, lack.count);
    tell(search, &lack, true, hint);
}

static void check_router(const struct search *search)
{
    struct lack lack = {.count = 0};
    char block[BLOCK_BYTES], name[NAME_BYTES];

    for (uint64_t i = 0; i < search->model.block_count; i++) {
        block_name(block, search, i);
        snprintf(name, sizeof(name), "%s%s", block, search->model.router);
        if (has_experts(search, block))
            note(search, name, &lack);
    }
    tell(search, &lack, false,
         "the block has experts, but not the router that chooses among them");
}

static void check_outer(const struct search *search, const char *module)
{
    struct lack lack = {.count = 0};
    char hint[TRIT_FINDING_HINT_BYTES_MAX + 1];

    if (!module)
        return;
    snprintf(hint, sizeof(hint), "by %s every model of this architecture has it",
             search->model.said_by);
    note(search, module, &lack);
    tell(search, &lack, false, hint);
}

void findings_add_needed(struct file_findings *findings,
                         const struct checkpoint_options *options,
                         const struct model_config *config, const struct contents *claim)
{
    struct search search = {findings, options, claim, {.blocks = NULL}};
    struct needed_model *model = &search.model;

    if (!needed_model_of(config, claim->table, model) ||
        !table_has_prefix(claim->table, model->blocks, strlen(model->blocks)) ||
        model->block_count == 0 || model->block_count > BLOCKS_MAX ||
        model->expert_count > EXPERTS_MAX)
        return;
    /* Of tied ones some programs keep the head. */
    if (!(config && config->tied && has_module(claim->table, "lm_head")))
        check_outer(&search, model->embedding);
    check_outer(&search, model->norm);
    for (size_t i = 0; i < NEEDED_GROUPS; i++)
        for (const char *const *leaf = model->groups[i].modules; leaf && *leaf; leaf++)
            check_module(&search, &model->groups[i], *leaf);
    if (!model->router)
        return;
    for (const char *const *leaf = model->experts.modules; *leaf; leaf++)
        check_experts(&search, *leaf);
    check_router(&search);
}
