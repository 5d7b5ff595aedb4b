/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/block_layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/name_parts.h"
#include "checkpoint/selection.h"

enum { BLOCKS_MIN = 3, BLOCKS_OF_UNKNOWN_MIN = 4 };

/* A layer of a block, or what belongs to one. `blocks`: how many blocks have one of this name. */
struct part {
    const char *name;
    struct name_block at;
    size_t blocks;
    enum tensor_role role;
};

/* The parts of the blocks whose names begin alike, in two orders. */
struct stack {
    struct part *by_name, *by_block;
    size_t count;
    uint64_t *numbers; /* of the blocks, ascending */
    size_t blocks;
    bool uniform; /* all blocks of the architecture have the same layers */
};

struct search {
    struct file_findings *findings;
    const struct checkpoint_options *options;
    const struct tensor_table *table;
    struct part *by_name, *by_block;
    uint64_t *numbers;
    size_t count;
    bool uniform;
};

/* ---- orders --------------------------------------------------------------------- */

static int compare_text(const char *a, size_t length, const char *b, size_t other)
{
    const int order = memcmp(a, b, length < other ? length : other);

    return order ? order : (length > other) - (length < other);
}

static int compare_prefixes(const struct part *a, const struct part *b)
{
    return compare_text(a->name, a->at.prefix, b->name, b->at.prefix);
}

/* What follows the number of the block, without the parameter. */
static int compare_layers(const struct part *a, const struct part *b)
{
    return compare_text(a->name + a->at.rest, a->at.end - a->at.rest,
                        b->name + b->at.rest, b->at.end - b->at.rest);
}

static int compare_numbers(const struct part *a, const struct part *b)
{
    return (a->at.number > b->at.number) - (a->at.number < b->at.number);
}

static int compare_names(const struct part *a, const struct part *b)
{
    const int prefixes = compare_prefixes(a, b);

    return prefixes ? prefixes : compare_layers(a, b);
}

static int order_by_name(const void *left, const void *right)
{
    const int names = compare_names(left, right);

    return names ? names : compare_numbers(left, right);
}

static int order_by_block(const void *left, const void *right)
{
    const int prefixes = compare_prefixes(left, right);
    const int numbers = prefixes ? 0 : compare_numbers(left, right);

    return prefixes ? prefixes : numbers ? numbers : compare_layers(left, right);
}

/* ---- one stack of blocks ---------------------------------------------------------- */

/* The bytes of the name of the module around the layer: "self_attn" and "mlp" begin with other
 * ones, and so do llama.cpp's attn_q and ffn_up. */
static size_t around_bytes(const struct part *part)
{
    const char *layer = part->name + part->at.rest + 1;

    return strcspn(layer, "._/");
}

static bool is_common(const struct stack *stack, size_t blocks)
{
    return stack->uniform
               ? 2 * blocks > stack->blocks
               : stack->blocks >= BLOCKS_OF_UNKNOWN_MIN && blocks + 1 == stack->blocks;
}

/* Has the block, in the place of the layer, one that most blocks do not have? */
static bool has_substitute(const struct stack *stack, const struct part *layer,
                           uint64_t number)
{
    const size_t bytes = around_bytes(layer);
    size_t low = 0, high = stack->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (stack->by_block[middle].at.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < stack->count && stack->by_block[low].at.number == number; low++) {
        const struct part *part = &stack->by_block[low];

        if (2 * part->blocks <= stack->blocks && part->role != ROLE_BIAS &&
            part->role != ROLE_ROUTER &&
            compare_text(part->name + part->at.rest + 1, around_bytes(part),
                         layer->name + layer->at.rest + 1, bytes) == 0)
            return true;
    }
    return false;
}

static void add_lack(const struct search *search, const struct stack *stack,
                     const struct part *layer, uint64_t number)
{
    const bool is_layer = layer->role == ROLE_LINEAR || layer->role == ROLE_EXPERTS;
    char name[FILES_NAME_BYTES_MAX + 32], hint[TRIT_FINDING_HINT_BYTES_MAX + 1];

    snprintf(name, sizeof(name), "%.*s%" PRIu64 "%s", (int)layer->at.prefix, layer->name,
             number, layer->name + layer->at.rest);
    /* One that is there in another form is told of by findings_add_contents. */
    if (selection_of(search->options, name) == SELECTION_EXCLUDED ||
        table_find(search->table, name))
        return;
    struct trit_finding *added = findings_add_missing(search->findings, is_layer, name);
    if (!added)
        return;
    if (!stack->uniform)
        added->severity = TRIT_SEVERITY_WARNING;
    snprintf(hint, sizeof(hint),
             "%zu of the %zu blocks have this %s, but this one lacks it", layer->blocks,
             stack->blocks, is_layer ? "layer" : role_name(layer->role));
    finding_set_hint(added, hint);
}

/* `layers`: the parts of one layer, in the order of the blocks. */
static void check_layer(const struct search *search, const struct stack *stack,
                        const struct part *layers, size_t count)
{
    size_t at = 0;

    if (layers->blocks == stack->blocks || !is_common(stack, layers->blocks))
        return;
    for (size_t i = 0; i < stack->blocks; i++) {
        const uint64_t number = stack->numbers[i];
        const bool at_end = i == 0 || i + 1 == stack->blocks;

        while (at < count && layers[at].at.number < number)
            at++;
        if ((at < count && layers[at].at.number == number) ||
            (at_end && !stack->uniform) || has_substitute(stack, layers, number))
            continue;
        add_lack(search, stack, layers, number);
    }
}

/* The parts from `first` on for which `compare` says 0. */
static size_t run_of(const struct part *parts, size_t first, size_t count,
                     int (*compare)(const struct part *a, const struct part *b))
{
    size_t end = first + 1;

    while (end < count && compare(&parts[first], &parts[end]) == 0)
        end++;
    return end - first;
}

static void check_stack(const struct search *search, struct stack *stack)
{
    for (size_t i = 0; i < stack->count; i++)
        if (i == 0 || compare_numbers(&stack->by_block[i - 1], &stack->by_block[i]) != 0)
            stack->numbers[stack->blocks++] = stack->by_block[i].at.number;
    if (stack->blocks < BLOCKS_MIN)
        return;
    for (size_t i = 0, run; i < stack->count; i += run) {
        run = run_of(stack->by_name, i, stack->count, compare_layers);
        check_layer(search, stack, &stack->by_name[i], run);
    }
}

/* ---- the whole -------------------------------------------------------------------- */

/* Tells each part how many blocks have a layer of its name. */
static void count_blocks(struct part *parts, size_t count)
{
    for (size_t i = 0, run; i < count; i += run) {
        size_t blocks = 1;

        run = run_of(parts, i, count, compare_names);
        for (size_t k = 1; k < run; k++)
            blocks += compare_numbers(&parts[i + k - 1], &parts[i + k]) != 0;
        for (size_t k = 0; k < run; k++)
            parts[i + k].blocks = blocks;
    }
}

static bool is_part(const struct search *search, const struct content *item,
                    const struct tensor_entry *entry)
{
    return entry->bytes > 0 && item->owner == CONTENT_NONE &&
           item->kind != CONTENT_FOREIGN_TABLE &&
           (item->role == ROLE_LINEAR || item->role == ROLE_EXPERTS ||
            (search->uniform && (item->role == ROLE_NORM || item->role == ROLE_BIAS ||
                                 item->role == ROLE_ROUTER)));
}

static void collect(struct search *search, const struct contents *claim)
{
    struct name name;

    for (size_t i = 0; i < claim->table->count; i++) {
        const struct tensor_entry *entry = &claim->table->entries[i];
        struct part part = {.name = entry->name, .role = claim->items[i].role};

        if (!is_part(search, &claim->items[i], entry))
            continue;
        name_split(&name, entry->name);
        if (name_block_of(&name, &part.at))
            search->by_name[search->count++] = part;
    }
}

static void check_all(struct search *search)
{
    qsort(search->by_name, search->count, sizeof(*search->by_name), order_by_name);
    count_blocks(search->by_name, search->count);
    memcpy(search->by_block, search->by_name, search->count * sizeof(*search->by_name));
    qsort(search->by_block, search->count, sizeof(*search->by_block), order_by_block);
    for (size_t i = 0, run; i < search->count; i += run) {
        run = run_of(search->by_name, i, search->count, compare_prefixes);
        struct stack stack = {.by_name = search->by_name + i,
                              .by_block = search->by_block + i,
                              .count = run,
                              .numbers = search->numbers,
                              .uniform = search->uniform};

        check_stack(search, &stack);
    }
}

void findings_add_block_layers(struct file_findings *findings,
                               const struct checkpoint_options *options,
                               const struct model_config *config,
                               const struct contents *claim)
{
    const size_t count = claim->table->count + 1;
    struct search search = {.findings = findings,
                            .options = options,
                            .table = claim->table,
                            .uniform = gguf_is_known(claim->table) ||
                                       (config && config->uniform)};

    if (findings_tell_lack(findings) || findings_tell_part(findings))
        return;
    search.by_name = calloc(count, sizeof(*search.by_name));
    search.by_block = calloc(count, sizeof(*search.by_block));
    search.numbers = calloc(count, sizeof(*search.numbers));
    if (search.by_name && search.by_block && search.numbers) {
        collect(&search, claim);
        if (search.count)
            check_all(&search);
    } else {
        findings->lost = true;
    }
    free(search.by_name);
    free(search.by_block);
    free(search.numbers);
}
