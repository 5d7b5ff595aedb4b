/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies one layer of a file. */
#include <inttypes.h>

#include "checkpoint/biases.h"
#include "checkpoint/explain.h"
#include "client/cli/matrix.h"
#include "client/cli/verify.h"
#include "client/cli/verify_explain.h"

static void close_parts(struct subject *subject)
{
    matrix_close(&subject->data);
    matrix_close(&subject->scale_data);
    matrix_close(&subject->bias_data);
    matrix_close(&subject->reference_data);
}

/* Opens the claim's data or its reference, which are large. */
static int open_large(const struct subject *subject, struct matrix *matrix,
                      struct reader *reader, const struct tensor_entry *entry,
                      const struct matrices *matrices, struct failure *failure)
{
    const bool streamed =
        matrix_is_streamed(subject->content->terms.encoding, entry, matrices);

    return matrix_open(matrix, streamed, reader, entry, matrices, subject->number,
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

static int open_parts(struct verifying *v, struct subject *subject)
{
    struct reader *file = v->file.reader;
    struct matrices data = subject->matrices;

    data.transposed &= encoding_keeps_layout(subject->content->terms.encoding);
    if ((content_is_foreign(subject->content)
             ? matrix_open_packed(&subject->data, file, &v->claim,
                                  (size_t)(subject->content - v->claim.items),
                                  subject->number, &v->failure)
             : open_large(subject, &subject->data, file, subject->entry, &data,
                          &v->failure)) < 0 ||
        open_small(subject, &subject->scale_data, file, subject->scales, &v->failure) <
            0 ||
        open_small(subject, &subject->bias_data, file, subject->biases, &v->failure) < 0)
        return -1;
    return subject->reference
               ? open_large(subject, &subject->reference_data, v->against.reader,
                            subject->reference, &subject->reference_matrices, &v->failure)
               : 0;
}

static int call_verify(struct verifying *v, struct subject *subject,
                       struct trit_report *report)
{
    const struct options *options = v->options;
    const struct layer_terms *terms = &subject->content->terms;
    const struct trit_tensor tensor =
        matrix_tensor(&subject->data, subject->dtype, &subject->matrices);
    struct trit_tensor reference;
    const struct trit_layer_ref layer = {.size = sizeof(layer),
                                         .run = options->run,
                                         .layer = subject->name,
                                         .step = options->step};
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = progress_update, .progress_arg = &v->progress};
    struct trit_verify_options how = {.size = sizeof(how),
                                      .mode = options->mode,
                                      .group_size = terms->group_size,
                                      .partial_group = terms->partial_group,
                                      .tolerance = options->tolerance,
                                      .has_tolerance =
                                          option_given(options, OPTION_TOLERANCE),
                                      .encoding = terms->encoding,
                                      .layer = &layer,
                                      .call = &call};
    struct trit_error error = TRIT_ERROR_INIT;
    enum trit_status status;

    if (subject->scales) {
        how.scales = subject->scale_data.data;
        how.scale_bytes = subject->scale_data.bytes;
        how.scales_dtype = subject->scales->type->dtype;
    }
    if (subject->reference) {
        reference = matrix_tensor(&subject->reference_data,
                                  subject->reference->type->dtype, &subject->matrices);
        how.reference = &reference;
    }
    status = trit_verify(v->client, &tensor, &how, report, &error);
    if (status == TRIT_OK)
        return 0;
    if (v->failure.status != TRIT_OK)
        return -1; /* a piece could not be read: that is the reason */
    return fail(&v->failure, status, error.field, "%s: %s", trit_status_name(status),
                error.message);
}

static int show_part(struct verifying *v, struct subject *subject,
                     struct trit_report *report)
{
    const size_t first = v->findings.count;
    bool failing = false;

    findings_add_report(&v->findings, subject->name, report,
                        option_given(v->options, OPTION_ALLOW_DEAD));
    if (subject->biases)
        findings_add_biases(&v->findings, subject->name, subject->biases->type->dtype,
                            subject->scale_data.data, subject->bias_data.data,
                            subject->bias_data.bytes);
    if (subject->reference &&
        (findings_have_mismatch(&v->findings, first) || verify_has_reciprocals(v)) &&
        verify_explain(v, subject, report) < 0)
        return -1;
    for (size_t i = first; i < v->findings.count; i++)
        failing |= v->findings.list[i].finding.severity == TRIT_SEVERITY_ERROR;
    v->layers++;
    v->failing += failing;
    return showing_layer(&v->showing, subject->name, &subject->shown, report,
                         &v->failure);
}

static int verify_part(struct verifying *v, struct subject *subject)
{
    struct trit_report report = TRIT_REPORT_INIT;
    int result = open_parts(v, subject);
    const uint64_t bytes = subject->data.bytes;

    if (result == 0)
        result = call_verify(v, subject, &report);
    if (result == 0)
        result = show_part(v, subject, &report);
    close_parts(subject);
    progress_piece_done(&v->progress, bytes);
    return result;
}

int verify_layer(struct verifying *v, const struct match_pair *pair)
{
    const struct content *content = &v->claim.items[pair->claim];
    const struct tensor_entry *dense = &content->dense;
    char name[MATRIX_NAME_BYTES];
    struct subject subject = {.content = content,
                              .entry = &v->claim.table->entries[pair->claim],
                              .dtype = content_dtype(&v->claim, pair->claim),
                              .matrices = content_matrices(content),
                              .shown = *dense,
                              .name = name};

    if (content->scales != CONTENT_NONE && !content_is_foreign(content))
        subject.scales = &v->claim.table->entries[content->scales];
    if (content->biases != CONTENT_NONE && !content_is_foreign(content))
        subject.biases = &v->claim.table->entries[content->biases];
    if (pair->latents != CONTENT_NONE) {
        subject.reference = &v->latents.table->entries[pair->latents];
        subject.reference_matrices =
            matrices_of(pair->layout, subject.reference->rank, subject.reference->shape);
    }
    if (subject.matrices.count > 1)
        subject.shown = (struct tensor_entry){
            .type = dense->type, .rank = 2, .shape = {dense->shape[1], dense->shape[2]}};
    for (uint64_t i = 0; i < subject.matrices.count; i++) {
        matrix_name(name, subject.entry->name, &subject.matrices, i);
        progress_piece(&v->progress, name);
        subject.number = i;
        if (verify_part(v, &subject) < 0)
            return subject.matrices.count == 1
                       ? -1
                       : fail_context(&v->failure, "expert %" PRIu64, i);
    }
    v->examined += content_parameters(&v->claim, pair->claim);
    return 0;
}
