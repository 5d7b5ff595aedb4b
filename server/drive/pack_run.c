/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a checkpoint that is packed or unpacked. Lanes do the pieces (run_piece)
 * while the caller's thread takes what they found (take_piece). */
#include <jansson.h>

#include "drive/lanes.h"
#include "drive/pack_impl.h"
#include "kernels/kernels.h"
#include "proto/json_value.h"

void pack_init(struct repacking *p)
{
    *p = (struct repacking){.engine = NULL};
    pthread_mutex_init(&p->whole, NULL);
}

void pack_fini(struct repacking *p)
{
    writer_destroy(p->writer);
    plan_destroy(&p->plan);
    side_close(&p->input);
    pthread_mutex_destroy(&p->whole);
}

/* ---- on a lane ------------------------------------------------------------------------ */

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct repacking *p = owner;
    struct pack_piece *piece = arg;
    const struct plan_piece *what = &piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct pack_work work = {.p = p, .piece = piece, .failure = failure};
    int result;

    progress_piece_begin(&work.progress, p->progress, what->name, stopped);
    result = progress_check(p->progress, failure);
    if (result == 0)
        result = what->is_layer
                     ? pack_matrix(&work)
                     : put_kept(p->writer, &p->plan, what->index, p->input.input.reader,
                                &work.progress, failure);
    progress_piece_end(&work.progress, entry->bytes / what->matrices.count);
    return result < 0 ? fail_context(failure, "%s", what->name) : 0;
}

/* ---- on the main thread, except for the first -------------------------------------------- */

static bool next_piece(void *owner, void *piece)
{
    struct repacking *p = owner;

    return plan_cursor_next(&p->plan, &p->cursor, &((struct pack_piece *)piece)->what);
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct repacking *p = owner;
    struct pack_piece *piece = arg;
    const struct content *content = &p->input.contents.items[piece->what.index];
    struct tensor_entry dense = content->dense;

    p->rounded += piece->rounded;
    if (!p->layer || !piece->has_report)
        return 0;
    if (piece->what.matrices.count > 1)
        dense = (struct tensor_entry){
            .type = dense.type, .rank = 2, .shape = {dense.shape[1], dense.shape[2]}};
    return p->layer(p->owner, piece->what.name, &dense, &piece->report, failure);
}

int pack_run(struct repacking *p)
{
    const struct lanes_work work = {.owner = p,
                                    .piece_bytes = sizeof(struct pack_piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    if (lanes_run(&work, &p->failure) < 0)
        return -1;
    return reader_unchanged(p->input.input.reader, &p->failure);
}

/* ---- the result --------------------------------------------------------------------------- */

json_t *pack_json(const struct repacking *p, const char *input, const char *output)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o}", "input", input, "output", output,
                     "encoding", encoding_name(p->plan.terms.encoding), "layers",
                     (int)p->plan.layers, "passed_through",
                     (int)(p->plan.contents.table->count - p->plan.layers),
                     "scales_rounded", json_uint64(p->rounded));
}
