/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/show_plan.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "checkpoint/plan_json.h"
#include "client/cli/escape.h"
#include "client/cli/grid.h"
#include "kernels/kernels.h"
#include "proto/utf8.h"

static void plan_row(struct grid *grid, const struct plan *plan, size_t index)
{
    const struct tensor_entry *entry = &plan->contents.table->entries[index];
    const struct plan_item *item = &plan->items[index];
    const struct matrices matrices = content_matrices(&plan->contents.items[index]);
    char shape[SHAPE_TEXT_BYTES];

    grid_cell(grid, "%s", entry->name);
    grid_cell(grid, "%s", entry->type->name);
    grid_cell(grid, "%s", entry_shape_text(shape, entry));
    grid_cell(grid, "%s", plan_action_name(item->action));
    if (item->action != PLAN_TERNARIZE && item->action != PLAN_PACK)
        grid_cell(grid, "%s", item->reason);
    else if (matrices.count > 1)
        grid_cell(grid, "%" PRIu64 " experts of [%" PRIu64 ", %" PRIu64 "]%s",
                  matrices.count, matrices.rows, matrices.columns,
                  matrices.transposed ? ", stored [in, out]" : "");
    else
        grid_cell(grid, "%s", matrices.transposed ? "stored [in, out]" : "");
}

static int print_plan(const struct plan *plan)
{
    static const struct grid_column columns[] = {
        {"tensor", GRID_LEFT}, {"dtype", GRID_LEFT}, {"shape", GRID_LEFT},
        {"action", GRID_LEFT}, {"why", GRID_LEFT},
    };
    struct grid *grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    int result;

    for (size_t i = 0; grid && i < plan->contents.table->count; i++)
        plan_row(grid, plan, i);
    result = grid ? grid_print(grid, stdout) : -1;
    grid_destroy(grid);
    return result;
}

static void print_sums(const struct options *options, const struct plan *plan)
{
    const struct plan_sizes sizes = plan_sizes(plan);
    const uint64_t all = plan->parameters_ternary + plan->parameters_kept;
    char shown[ESCAPED_BYTES];

    printf("%s: %zu layers become ternary (%s), %zu tensors are kept, %zu are refused\n"
           "  %.1f %% of %" PRIu64 " parameters become ternary; %" PRIu64
           " bytes become %" PRIu64,
           escaped(shown, options->arguments[0]), plan->layers,
           encoding_name(plan->terms.encoding),
           plan->contents.table->count - plan->layers - plan->refused, plan->refused,
           all ? 100.0 * (double)plan->parameters_ternary / (double)all : 0.0, all,
           plan->bytes, sizes.all);
    if (plan->parameters_ternary)
        printf("; %.3f bits a ternary weight",
               8.0 * (double)sizes.layers / (double)plan->parameters_ternary);
    putchar('\n');
    if (plan->refusal)
        printf("  refused as a whole: %s\n", plan->refusal);
}

void show_gguf(const struct plan *plan)
{
    char remark[ESCAPED_BYTES];

    utf8_show_text(remark, sizeof(remark), plan->remark ? plan->remark : "");
    if (plan->architecture)
        printf("  a model for llama.cpp (%s)%s%s\n", plan->architecture,
               plan->remark ? ": " : "", remark);
    else if (plan->remark)
        printf("  an archive of tensors, which llama.cpp does not load: %s\n", remark);
}

enum exit_code show_plan(const struct options *options, const struct plan *plan)
{
    const enum exit_code code =
        plan->refused || plan->refusal || plan->layers == 0 ? MISMATCH : DONE;

    if (option_given(options, OPTION_JSON))
        return print_json(plan_json(plan), code);
    if (print_plan(plan) < 0)
        return complain(FAILED, "out of memory");
    print_sums(options, plan);
    show_gguf(plan);
    return code;
}
