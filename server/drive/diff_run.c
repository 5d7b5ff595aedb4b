/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>

#include "checkpoint/selection.h"
#include "drive/diff_impl.h"
#include "drive/lanes.h"

void diff_init(struct diffing *d)
{
    *d = (struct diffing){.engine = NULL};
}

void diff_fini(struct diffing *d)
{
    compared_names_fini(&d->a_names);
    compared_names_fini(&d->b_names);
    free(d->a_taken);
    free(d->b_taken);
    json_decref(d->layers);
    json_decref(d->others);
    json_decref(d->keys);
    side_close(&d->a);
    side_close(&d->b);
}

static int check_patterns(struct diffing *d)
{
    const struct tensor_table *tables[] = {d->a.contents.table, d->b.contents.table};
    const char *unused = selection_unused(&d->a.rules, tables, 2);

    if (!unused)
        unused = rename_unused(&d->a.rules, tables[0], tables[1]);
    return unused ? fail(&d->failure, TRIT_INVALID_ARGUMENT, "options",
                         "the pattern '%s' matches no tensor", unused)
                  : 0;
}

/* Two files without a tensor are not equal models. */
static int check_tensors(struct diffing *d)
{
    return d->a.contents.table->count || d->b.contents.table->count
               ? 0
               : fail(&d->failure, TRIT_FAILED_PRECONDITION, NULL,
                      "neither holds a tensor: there is nothing to compare");
}

int diff_prepare(struct diffing *d)
{
    if (check_tensors(d) < 0 || check_patterns(d) < 0 ||
        compared_names_init(&d->a_names, &d->a.rules, true, d->a.contents.table,
                            &d->failure) < 0 ||
        compared_names_init(&d->b_names, &d->b.rules, false, d->b.contents.table,
                            &d->failure) < 0 ||
        diff_take_experts(d) < 0)
        return -1;
    d->layers = json_array();
    d->others = json_array();
    d->keys = json_array();
    return d->layers && d->others && d->keys
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static uint64_t table_bytes(const struct tensor_table *table)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < table->count; i++)
        bytes += table->entries[i].bytes;
    return bytes;
}

uint64_t diff_bytes(const struct diffing *d)
{
    return table_bytes(d->a.contents.table) + table_bytes(d->b.contents.table);
}

uint64_t diff_piece_count(const struct diffing *d)
{
    struct diff_piece piece;
    uint64_t count = 0;
    size_t next = 0;

    while (diff_next(d, &next, &piece))
        count++;
    return count;
}

/* ---- the pieces --------------------------------------------------------------------- */

static bool next_piece(void *owner, void *piece)
{
    struct diffing *d = owner;

    return diff_next(d, &d->next, piece);
}

/* On a lane. */
static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct diff_piece *piece = arg;
    struct diffing *d = owner;
    const struct tensor_table *first =
        piece->of_b ? d->b.contents.table : d->a.contents.table;
    uint64_t bytes = first->entries[piece->a].bytes;
    struct progress_piece progress;

    if (piece->kind == DIFF_LAYER || piece->kind == DIFF_OTHER)
        bytes += d->b.contents.table->entries[piece->b].bytes;
    progress_piece_begin(&progress, d->progress, piece->name, stopped);
    int result = progress_check(d->progress, failure);
    if (result == 0)
        result = diff_tensors(d, piece, &progress, failure);
    progress_piece_end(&progress, bytes);
    return result;
}

static int take_piece(void *owner, void *piece, struct failure *failure)
{
    return diff_take(owner, piece, failure);
}

int diff_run(struct diffing *d)
{
    const struct lanes_work work = {.owner = d,
                                    .piece_bytes = sizeof(struct diff_piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    if (lanes_run(&work, &d->failure) < 0 || diff_keys(d) < 0 ||
        reader_unchanged(d->a.input.reader, &d->failure) < 0)
        return -1;
    return reader_unchanged(d->b.input.reader, &d->failure);
}
