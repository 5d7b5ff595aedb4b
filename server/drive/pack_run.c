/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a checkpoint that is packed or unpacked. Lanes do the pieces (run_piece)
 * while the caller's thread takes what they found (take_piece). */
#include <jansson.h>

#include "checkpoint/plan_json.h"
#include "drive/lanes.h"
#include "drive/pack_impl.h"
#include "drive/resume.h"
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

static void note_rounded(struct pack_piece *piece)
{
    if (piece->rounded == 0)
        return;
    piece->report.findings[0] = (struct trit_finding){
        .kind = TRIT_FINDING_SCALE_ROUNDED, .has_count = true, .count = piece->rounded};
    piece->report.finding_count = 1;
}

static void take_reused(struct pack_piece *piece)
{
    piece->has_report = piece->report.elements > 0;
    piece->rounded = pack_rounded(&piece->report);
}

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct repacking *p = owner;
    struct pack_piece *piece = arg;
    const struct plan_piece *what = &piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct pack_work work = {.p = p, .piece = piece, .failure = failure};
    const uint64_t bytes = entry->bytes / what->matrices.count;
    int result;

    progress_piece_begin(&work.progress, p->progress, what->name, stopped);
    result = progress_check(p->progress, failure);
    if (result == 0 && p->resume)
        result = resume_has(p->resume, what, &piece->report, failure);
    if (result > 0) {
        take_reused(piece);
        progress_piece_reused(&work.progress, bytes);
        return 0;
    }
    if (result == 0)
        result = what->is_layer
                     ? pack_matrix(&work)
                     : put_kept(p->writer, &p->plan, what->index, p->input.input.reader,
                                &work.progress, failure);
    progress_piece_end(&work.progress, bytes);
    if (result == 0 && !piece->has_report)
        note_rounded(piece);
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
    const struct tensor_entry one = matrix_entry(&content->dense, &piece->what.matrices);

    if (p->resume &&
        resume_took(p->resume, &piece->what, piece->what.is_layer ? &piece->report : NULL,
                    failure) < 0)
        return -1;
    p->rounded += piece->rounded;
    if (!p->layer || !piece->has_report)
        return 0;
    return p->layer(p->owner, piece->what.name, &one, &piece->report, failure);
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
    json_t *result =
        json_pack("{s:o, s:o, s:s, s:i, s:i, s:o}", "input", json_path(input), "output",
                  json_path(output), "encoding", encoding_name(p->plan.terms.encoding),
                  "layers", (int)p->plan.layers, "passed_through",
                  (int)(p->plan.contents.table->count - p->plan.layers), "scales_rounded",
                  json_uint64(p->rounded));

    if (plan_json_put_gguf(result, &p->plan))
        return result;
    json_decref(result);
    return NULL;
}
