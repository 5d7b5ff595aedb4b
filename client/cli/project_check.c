/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the plan of a projection before anything is sent. */
#include "client/cli/project.h"

static const char PACK_INSTEAD[] =
    "`trit pack` keeps trits and scales as they are; --again projects once more, which "
    "shrinks the scales";

/* ---- what the plan says -------------------------------------------------------------- */

/* Does another program's packing stand in the way that trit unpack may read? */
static bool may_unpack(const struct project_command *p)
{
    for (size_t i = 0; i < p->run.plan.contents.table->count; i++) {
        const enum packing packing = p->run.plan.contents.items[i].packing;

        if (p->run.plan.items[i].action == PLAN_REFUSE &&
            (packing == PACKING_MLX || packing == PACKING_FP8 ||
             packing == PACKING_COMPRESSED_TENSORS || packing == PACKING_BITSANDBYTES ||
             packing == PACKING_HF_BITNET || packing == PACKING_INT8))
            return true;
    }
    return false;
}

static enum exit_code refuse(const struct project_command *p, size_t ternary)
{
    const char *input = p->options->arguments[0];

    for (size_t i = 0; i < p->run.plan.contents.table->count; i++)
        if (p->run.plan.items[i].action == PLAN_REFUSE)
            complain(MISMATCH, "%s: %s", p->run.plan.contents.table->entries[i].name,
                     p->run.plan.items[i].reason);
    if (ternary)
        return complain(MISMATCH,
                        "%s: nothing is written: %zu layers are ternary already. %s",
                        input, ternary, PACK_INSTEAD);
    return complain(MISMATCH,
                    "%s: nothing is written: %zu tensors are refused (--exclude keeps "
                    "a layer as it is%s)",
                    input, p->run.plan.refused,
                    may_unpack(p) ? "; trit unpack makes what it can read dense" : "");
}

static enum exit_code refuse_without_layers(const struct project_command *p)
{
    file_print_others(&p->run.plan.contents);
    return complain(
        MISMATCH, "%s: none of its tensors is a layer (rank 2%s, f32, f16 or bf16%s)",
        p->options->arguments[0],
        option_given(p->options, OPTION_CONVOLUTIONS) ? " to 4" : "",
        p->options->include.count + p->options->exclude.count ? ", selected by name"
                                                              : "");
}

enum exit_code project_check(struct project_command *p)
{
    const char *path = p->options->arguments[0];
    const bool dry = option_given(p->options, OPTION_DRY_RUN);
    size_t ternary = 0;
    enum exit_code code = input_check(&p->run.input, path);

    if (code == DONE)
        code = file_check_names("project", p->options, &p->run.plan.contents);
    if (code != DONE)
        return code;
    if (p->run.plan.layers == 0 && p->run.plan.refused == 0 && !dry)
        return refuse_without_layers(p);
    if (p->run.plan.refusal && !dry)
        return complain(MISMATCH, "%s: %s. %s", path, p->run.plan.refusal, PACK_INSTEAD);
    if (!option_given(p->options, OPTION_AGAIN) && !p->run.plan.refusal &&
        project_probe(&p->run, &ternary) < 0)
        return complain(FAILED, "%s: %s", path, p->run.failure.message);
    for (size_t i = 0; i < p->run.plan.contents.table->count; i++)
        if (p->run.plan.items[i].action == PLAN_TERNARIZE && p->run.plan.items[i].warning)
            complain(DONE, "%s: %s", p->run.plan.contents.table->entries[i].name,
                     p->run.plan.items[i].warning);
    if (dry)
        return DONE;
    if (p->run.plan.refused)
        return refuse(p, ternary);
    return DONE;
}
