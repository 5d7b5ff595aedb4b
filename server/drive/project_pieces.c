/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a file that is projected. Lanes do the pieces (run_piece) while the caller's
 * thread takes their reports (take_piece). */
#include <stdlib.h>

#include "drive/lanes.h"
#include "drive/project.h"
#include "drive/put.h"

/* A tensor that is copied, or a matrix of a layer and its report. */
struct piece {
    struct plan_piece what;
    struct trit_report report;
};

/* What one lane needs for its piece. */
struct work {
    struct projecting *p;
    struct piece *piece;
    const struct tensor_entry *entry; /* of the tensor or the layer */
    bool streamed;                    /* the matrix is read piece by piece */
    struct data_put data;
    struct progress_piece progress;
    struct failure *failure;
};

/* ---- on a lane ------------------------------------------------------------------------ */

/* What the data left in the buffer, and the scales. */
static int put_rest(struct work *work, const struct engine_projected *projected)
{
    struct projecting *p = work->p;
    const struct encoded encoded = {.scales = projected->scales,
                                    .data_bytes = projected->data_bytes,
                                    .scale_bytes = projected->scale_bytes};

    return data_put_end(&work->data) < 0
               ? -1
               : put_scales(p->writer, &p->plan, &work->piece->what, &encoded,
                            work->failure);
}

static int project_matrix(struct work *work)
{
    struct projecting *p = work->p;
    const struct plan_piece *what = &work->piece->what;
    struct engine_projected projected = {.scales = NULL};
    struct matrix matrix;
    int result = matrix_open(&matrix, work->streamed, p->input.reader, work->entry,
                             &what->matrices, what->number, work->failure);
    const struct engine_project asked = {
        .name = what->name,
        .rows = what->matrices.rows,
        .columns = what->matrices.columns,
        .latents = {&matrix, work->entry->type->dtype},
        .terms = p->terms,
        .detail = p->detail,
        .write = data_put_write,
        .write_arg = &work->data,
    };

    data_put_open(&work->data, p->writer, &p->plan, what, work->failure);
    if (result == 0)
        result = p->engine->project(p->engine->arg, &asked, &work->progress, &projected,
                                    work->failure);
    matrix_close(&matrix);
    if (result == 0)
        result = put_rest(work, &projected);
    data_put_close(&work->data);
    work->piece->report = projected.report;
    free(projected.scales);
    return result;
}

static int run_matrix(struct work *work)
{
    struct projecting *p = work->p;
    int result;

    const bool whole = matrix_is_whole(p->terms.encoding);
    const bool small = matrix_is_small(work->entry, &work->piece->what.matrices);

    work->streamed = !whole || !small; /* one message is faster for a small one */
    if (!whole || small)
        return project_matrix(work);
    /* The daemon has all codes of such a matrix in memory. */
    pthread_mutex_lock(&p->whole);
    result = project_matrix(work);
    pthread_mutex_unlock(&p->whole);
    return result;
}

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct projecting *p = owner;
    struct piece *piece = arg;
    const struct plan_piece *what = &piece->what;
    struct work work = {.p = p,
                        .piece = piece,
                        .entry = &p->plan.contents.table->entries[what->index],
                        .failure = failure};
    const uint64_t bytes = work.entry->bytes / what->matrices.count;
    int result;

    progress_piece_begin(&work.progress, p->progress, what->name, stopped);
    result = progress_check(p->progress, failure);
    if (result == 0 && p->resume)
        result = resume_has(p->resume, what, &piece->report, failure);
    if (result > 0) {
        progress_piece_reused(&work.progress, bytes);
        return 0;
    }
    if (result == 0)
        result = what->is_layer ? run_matrix(&work)
                                : put_kept(p->writer, &p->plan, what->index,
                                           p->input.reader, &work.progress, failure);
    progress_piece_end(&work.progress, bytes);
    return result < 0 ? plan_piece_failed(&p->plan, what, failure) : 0;
}

/* ---- on the main thread ----------------------------------------------------------------- */

static bool next_piece(void *owner, void *piece)
{
    struct projecting *p = owner;

    return plan_cursor_next(&p->plan, &p->cursor, &((struct piece *)piece)->what);
}

/* A dead layer, and a lost scale where that is allowed, are warnings here: nothing
 * else could have come out. */
static void add_findings(struct projecting *p, const struct piece *piece)
{
    const size_t first = p->findings.count;
    bool failing = false;

    findings_add_report(&p->findings, piece->what.name, &piece->report, true);
    for (size_t i = first; i < p->findings.count; i++) {
        struct trit_finding *finding = &p->findings.list[i].finding;

        if (finding->kind == TRIT_FINDING_SCALE_LOST) {
            if (p->allow_lost)
                finding->severity = TRIT_SEVERITY_WARNING;
            else
                p->lost++;
        }
        failing |= finding->severity == TRIT_SEVERITY_ERROR;
    }
    p->not_ternary += failing;
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct projecting *p = owner;
    struct piece *piece = arg;
    const struct tensor_entry one = matrix_entry(
        &p->plan.contents.table->entries[piece->what.index], &piece->what.matrices);

    if (p->resume &&
        resume_took(p->resume, &piece->what, piece->what.is_layer ? &piece->report : NULL,
                    failure) < 0)
        return -1;
    if (!piece->what.is_layer)
        return 0;
    add_findings(p, piece);
    return p->layer(p->owner, piece->what.name, &one, &piece->report, failure);
}

int project_run(struct projecting *p)
{
    const struct lanes_work work = {.owner = p,
                                    .piece_bytes = sizeof(struct piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    if (lanes_run(&work, &p->failure) < 0)
        return -1;
    return reader_unchanged(p->input.reader, &p->failure);
}
