/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the plan of a projection before anything is sent. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/ternary.h"
#include "client/cli/escape.h"
#include "client/cli/project.h"
#include "kernels/kernels.h"

enum { PROBE_BYTES = 1 << 16 };

static const char PACK_INSTEAD[] =
    "`trit pack` keeps trits and scales as they are; --again projects once more, which "
    "shrinks the scales";

/* ---- layers that are ternary already ------------------------------------------------ */

static int feed(struct projecting *p, const struct tensor_entry *entry,
                struct ternary_probe *probe, uint8_t *buffer)
{
    for (uint64_t at = 0; at < entry->bytes; at += PROBE_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = u64_min(left, PROBE_BYTES);

        if (reader_read(p->input.reader, entry, at, buffer, piece, &p->failure) < 0)
            return -1;
        if (!ternary_probe_feed(probe, buffer, piece))
            return 0;
    }
    return ternary_probe_refuses(probe);
}

/* Reads as much of a layer as it takes to tell. 1: it is ternary already, in groups of
 * *group, and would change; 0: it is not or would not; -1: it cannot be read. */
static int probe_layer(struct projecting *p, size_t index, uint8_t *buffer,
                       uint64_t *group)
{
    const struct content *content = &p->plan.contents.items[index];
    struct ternary_probe probe = {.rows = NULL};
    int found = ternary_probe_create(&probe, &content->terms, &content->dense,
                                     content->layout, &p->failure);

    if (found == 0)
        found = feed(p, &p->plan.contents.table->entries[index], &probe, buffer);
    *group = ternary_probe_group(&probe);
    ternary_probe_destroy(&probe);
    return found;
}

/* Refuses every layer that is ternary already; *count says how many. */
static int probe_layers(struct projecting *p, size_t *count)
{
    uint8_t *buffer = malloc(PROBE_BYTES);
    uint64_t group;
    int found =
        buffer ? 0 : fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    *count = 0;
    for (size_t i = 0; i < p->plan.contents.table->count && found >= 0; i++) {
        if (p->plan.items[i].action != PLAN_TERNARIZE)
            continue;
        found = probe_layer(p, i, buffer, &group);
        if (found > 0) {
            plan_refuse_ternary(&p->plan, i, group);
            ++*count;
        }
    }
    free(buffer);
    return found < 0 ? -1 : 0;
}

/* ---- what the plan says -------------------------------------------------------------- */

/* Does another program's packing stand in the way that trit unpack may read? */
static bool may_unpack(const struct projecting *p)
{
    for (size_t i = 0; i < p->plan.contents.table->count; i++) {
        const enum packing packing = p->plan.contents.items[i].packing;

        if (p->plan.items[i].action == PLAN_REFUSE &&
            (packing == PACKING_MLX || packing == PACKING_FP8 ||
             packing == PACKING_COMPRESSED_TENSORS || packing == PACKING_BITSANDBYTES ||
             packing == PACKING_HF_BITNET || packing == PACKING_INT8))
            return true;
    }
    return false;
}

static enum exit_code refuse(const struct projecting *p, size_t ternary)
{
    const char *input = p->options->arguments[0];

    for (size_t i = 0; i < p->plan.contents.table->count; i++)
        if (p->plan.items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", p->plan.contents.table->entries[i].name,
                     p->plan.items[i].reason);
    if (ternary)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu layers are ternary already. %s",
                        input, ternary, PACK_INSTEAD);
    return complain(MISMATCH,
                    "%s: nothing is written: %zu tensors are refused (--exclude keeps "
                    "them as they are%s)",
                    input, p->plan.refused,
                    may_unpack(p) ? "; trit unpack makes what it can read dense" : "");
}

static enum exit_code refuse_without_layers(const struct projecting *p)
{
    file_print_others(&p->plan.contents);
    return complain(
        MISMATCH, "%s: none of its tensors is a layer (rank 2%s, f32, f16 or bf16%s)",
        p->options->arguments[0],
        option_given(p->options, OPTION_CONVOLUTIONS) ? " to 4" : "",
        p->options->include.count + p->options->exclude.count ? ", selected by name"
                                                              : "");
}

enum exit_code project_check(struct projecting *p)
{
    const char *path = p->options->arguments[0];
    const bool dry = option_given(p->options, OPTION_DRY_RUN);
    size_t ternary = 0;
    enum exit_code code = input_check(&p->input, path);

    if (code == DONE)
        code = file_check_names("project", p->options, &p->plan.contents);
    if (code != DONE)
        return code;
    if (p->plan.layers == 0 && p->plan.refused == 0 && !dry)
        return refuse_without_layers(p);
    if (p->plan.refusal && !dry)
        return complain(MISMATCH, "%s: %s. %s", path, p->plan.refusal, PACK_INSTEAD);
    if (!option_given(p->options, OPTION_AGAIN) && !p->plan.refusal &&
        probe_layers(p, &ternary) < 0)
        return complain(FAILED, "%s: %s", path, p->failure.message);
    for (size_t i = 0; i < p->plan.contents.table->count; i++)
        if (p->plan.items[i].action == PLAN_TERNARIZE && p->plan.items[i].warning)
            complain(DONE, "%s: %s", p->plan.contents.table->entries[i].name,
                     p->plan.items[i].warning);
    if (dry)
        return DONE;
    if (p->plan.refused)
        return refuse(p, ternary);
    return DONE;
}
