/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies one layer of a file. */
#include "checkpoint/explain.h"
#include "checkpoint/not_ternary.h"
#include "drive/foreign_read.h"
#include "drive/verify_explain.h"
#include "drive/verify_impl.h"
#include "drive/verify_rotated.h"

static void close_parts(struct subject *subject)
{
    matrix_close(&subject->data);
    matrix_close(&subject->scale_data);
    matrix_close(&subject->bias_data);
    matrix_close(&subject->reference_data);
}

static bool is_whole(const struct subject *subject)
{
    return matrix_is_whole(subject->content->terms.encoding);
}

static bool is_small(const struct subject *subject)
{
    return matrix_is_small(subject->entry, &subject->matrices) &&
           (!subject->reference ||
            (matrix_is_small(subject->reference, &subject->reference_matrices) &&
             !subject->reference_matrices.basis.block));
}

/* One message is faster for small matrices with one scale, which a stream sends twice. */
static bool is_loaded(const struct subject *subject)
{
    return is_whole(subject) && is_small(subject);
}

/* Opens the claim's data or its reference, which are large. */
static int open_large(const struct subject *subject, struct matrix *matrix,
                      struct reader *reader, const struct tensor_entry *entry,
                      const struct matrices *matrices, uint64_t number,
                      struct failure *failure)
{
    return matrix_open(matrix, !is_loaded(subject), reader, entry, matrices, number,
                       failure);
}

static int open_small(const struct subject *subject, struct matrix *matrix,
                      struct reader *reader, const struct tensor_entry *entry,
                      struct failure *failure)
{
    struct matrices matrices = subject->matrices;

    matrices.transposed = false;
    return entry ? matrix_open(matrix, false, reader, entry, &matrices, subject->number,
                               failure)
                 : 0;
}

static int open_parts(struct verifying *v, struct subject *subject,
                      struct failure *failure)
{
    struct reader *file = v->file.reader;
    struct matrices data = subject->matrices;

    data.transposed &= encoding_keeps_layout(subject->content->terms.encoding);
    if (content_is_foreign(subject->content))
        matrix_open_packed(&subject->data, file, &v->claim,
                           (size_t)(subject->content - v->claim.items), subject->number,
                           failure);
    else if (open_large(subject, &subject->data, file, subject->entry, &data,
                        subject->number, failure) < 0)
        return -1;
    if (open_small(subject, &subject->scale_data, file, subject->scales, failure) < 0 ||
        open_small(subject, &subject->bias_data, file, subject->biases, failure) < 0)
        return -1;
    return subject->reference
               ? open_large(subject, &subject->reference_data, v->against.reader,
                            subject->reference, &subject->reference_matrices,
                            subject->reference_number, failure)
               : 0;
}

static struct subject subject_of(const struct verifying *v,
                                 const struct verify_piece *piece)
{
    const struct content *content = &v->claim.items[piece->pair.claim];
    const struct tensor_entry *entries = v->claim.table->entries;
    struct subject subject = {.content = content,
                              .entry = &entries[piece->pair.claim],
                              .dtype = content_dtype(&v->claim, piece->pair.claim),
                              .matrices = piece->matrices,
                              .name = piece->name,
                              .number = piece->number};

    if (content->scales != CONTENT_NONE && !content_is_foreign(content))
        subject.scales = &entries[content->scales];
    if (content->biases != CONTENT_NONE && !content_is_foreign(content))
        subject.biases = &entries[content->biases];
    if (piece->pair.latents != CONTENT_NONE) {
        subject.reference =
            &v->latents.table->entries[match_reference(&piece->pair, piece->number)];
        subject.reference_number = match_number(&piece->pair, piece->number);
        subject.reference_matrices = matrices_of(
            piece->pair.layout, subject.reference->rank, subject.reference->shape);
        subject.reference_matrices.heads = piece->pair.heads;
        verify_rotation_of(v, &piece->pair, subject.matrices.columns,
                           &subject.reference_matrices.basis);
    }
    return subject;
}

/* ---- on a lane --------------------------------------------------------------------- */

static int call_verify(struct verifying *v, struct subject *subject,
                       struct progress_piece *progress, struct trit_report *report,
                       struct failure *failure)
{
    const struct engine_matrix latents = {.matrix = &subject->reference_data,
                                          .dtype = subject_latents_dtype(subject)};
    struct engine_verify what = {
        .name = subject->name,
        .rows = subject->matrices.rows,
        .columns = subject->matrices.columns,
        .claim = {&subject->data, subject->dtype},
        .terms = subject->content->terms,
        .latents = subject->reference ? &latents : NULL,
        .mode = v->mode,
        .has_tolerance = v->has_tolerance,
        .tolerance = v->tolerance,
        .detail = v->detail,
    };

    if (subject->scales) {
        what.scales = subject->scale_data.data;
        what.scale_bytes = subject->scale_data.bytes;
        what.scales_dtype = subject->scales->type->dtype;
    }
    return v->engine->verify(v->engine->arg, &what, progress, report, failure);
}

static int verify_matrix(struct verifying *v, struct verify_piece *piece,
                         struct subject *subject, struct progress_piece *progress,
                         struct failure *failure)
{
    int result = open_parts(v, subject, failure);

    if (result == 0 && subject->biases)
        piece->biases = bias_check(subject->biases->type->dtype, subject->scale_data.data,
                                   subject->bias_data.data, subject->bias_data.bytes);
    if (result == 0 && content_is_foreign(subject->content))
        result = foreign_read_faults(v->file.reader, &v->claim, piece->pair.claim,
                                     piece->number, &piece->faults, failure);
    if (result == 0)
        result = call_verify(v, subject, progress, &piece->report, failure);
    if (result == 0)
        result = verify_rotated_run(piece, subject, failure);
    close_parts(subject);
    return result;
}

/* The daemon has all codes of a matrix with one scale in memory. */
static bool is_light(const struct subject *subject)
{
    return !is_whole(subject) || is_small(subject);
}

int verify_layer_run(struct verifying *v, struct verify_piece *piece,
                     const atomic_bool *stopped, struct failure *failure)
{
    struct subject subject = subject_of(v, piece);
    const bool light = is_light(&subject);
    struct rotated_basis basis;
    struct progress_piece progress;
    int result;

    piece->rotation =
        verify_rotation_of(v, &piece->pair, subject.matrices.columns, &basis);
    progress_piece_begin(&progress, v->progress, piece->name, stopped);
    if (!light)
        pthread_mutex_lock(&v->whole);
    result = progress_check(v->progress, failure);
    if (result == 0)
        result = verify_matrix(v, piece, &subject, &progress, failure);
    if (!light)
        pthread_mutex_unlock(&v->whole);
    progress_piece_end(&progress, subject.entry->bytes / piece->matrices.count);
    return result;
}

/* ---- on the main thread ------------------------------------------------------------ */

/* Reads the matrix once more, which only a mismatch needs. */
static int explain(struct verifying *v, struct verify_piece *piece,
                   struct failure *failure)
{
    struct subject subject = subject_of(v, piece);
    int result;

    if (v->explained >= EXPLAINED_MAX && !verify_has_reciprocals(v) &&
        !matrix_is_whole(subject.content->terms.encoding))
        return 0;
    v->explained++;
    pthread_mutex_lock(&v->whole);
    result = open_parts(v, &subject, failure);
    if (result == 0)
        result = verify_explain(v, &subject, &piece->report);
    close_parts(&subject);
    pthread_mutex_unlock(&v->whole);
    return result;
}

static int add_findings(struct verifying *v, struct verify_piece *piece,
                        struct failure *failure)
{
    const size_t first = v->findings.count;
    bool failing = false;

    findings_add_report(&v->findings, piece->name, &piece->report, v->allow_dead);
    findings_hint_not_ternary(&v->findings, v->rules.config != NULL, &v->claim,
                              piece->pair.claim, piece->name);
    findings_add_biases(&v->findings, piece->name, &piece->biases);
    findings_add_scale_faults(&v->findings, piece->name, &piece->faults);
    if (piece->pair.latents != CONTENT_NONE &&
        (findings_have_mismatch(&v->findings, first) || verify_has_reciprocals(v)) &&
        explain(v, piece, failure) < 0)
        return -1;
    verify_rotated_take(v, piece, first);
    for (size_t i = first; i < v->findings.count; i++)
        failing |= v->findings.list[i].finding.severity == TRIT_SEVERITY_ERROR;
    v->failing += failing;
    return 0;
}

int verify_layer_take(struct verifying *v, struct verify_piece *piece,
                      struct failure *failure)
{
    const struct tensor_entry *dense = &v->claim.items[piece->pair.claim].dense;
    const struct tensor_entry one = matrix_entry(dense, &piece->matrices);

    if (add_findings(v, piece, failure) < 0)
        return fail_context(failure, "%s",
                            v->claim.table->entries[piece->pair.claim].name);
    if (attested_add_layer(&v->digests, piece->name, piece->report.digest,
                           &v->claim.items[piece->pair.claim].terms,
                           piece->report.max_round_error, failure) < 0)
        return -1;
    if (piece->pair.latents == CONTENT_NONE &&
        !content_may_fail(&v->claim.items[piece->pair.claim]))
        return v->layer(v->owner, piece->name, dense, &piece->report, failure);
    v->layers++;
    if (piece->number + 1 == piece->matrices.count)
        v->examined += content_parameters(&v->claim, piece->pair.claim);
    return v->layer(v->owner, piece->name, &one, &piece->report, failure);
}
