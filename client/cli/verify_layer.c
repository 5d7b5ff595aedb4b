/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of a file that is verified. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/biases.h"
#include "checkpoint/explain.h"
#include "client/cli/matrix.h"
#include "client/cli/verify.h"

/* A layer, and of one of its matrices all that its call needs. */
struct subject {
    const struct content *content;
    const struct tensor_entry *entry;     /* its data in the file */
    const struct tensor_entry *scales;    /* or NULL */
    const struct tensor_entry *biases;    /* or NULL */
    const struct tensor_entry *reference; /* or NULL */
    struct matrices matrices;             /* as the claim has them */
    struct matrices reference_matrices;   /* as the latents have them */
    struct tensor_entry shown;            /* its shape as it is told */
    const char *name;                     /* of the matrix */
    void *data, *scale_data, *bias_data, *reference_data;
    uint64_t bytes, scale_bytes, bias_bytes, reference_bytes;
};

static void free_parts(struct subject *subject)
{
    free(subject->data);
    free(subject->scale_data);
    free(subject->bias_data);
    free(subject->reference_data);
    subject->data = subject->scale_data = NULL;
    subject->bias_data = subject->reference_data = NULL;
}

static int load_parts(struct verifying *v, struct subject *subject, uint64_t number)
{
    struct matrices data = subject->matrices, scales = subject->matrices;

    data.transposed &= encoding_keeps_layout(subject->content->terms.encoding);
    scales.transposed = false;
    if (matrix_load(v->file.reader, subject->entry, &data, number, &subject->data,
                    &subject->bytes, &v->failure) < 0 ||
        (subject->scales &&
         matrix_load(v->file.reader, subject->scales, &scales, number,
                     &subject->scale_data, &subject->scale_bytes, &v->failure) < 0) ||
        (subject->biases &&
         matrix_load(v->file.reader, subject->biases, &scales, number,
                     &subject->bias_data, &subject->bias_bytes, &v->failure) < 0))
        return -1;
    return subject->reference ? matrix_load(v->against.reader, subject->reference,
                                            &subject->reference_matrices, number,
                                            &subject->reference_data,
                                            &subject->reference_bytes, &v->failure)
                              : 0;
}

static struct trit_tensor tensor_of(enum trit_dtype dtype,
                                    const struct matrices *matrices, const void *data,
                                    uint64_t bytes)
{
    return (struct trit_tensor){.size = sizeof(struct trit_tensor),
                                .dtype = dtype,
                                .rank = 2,
                                .shape = {matrices->rows, matrices->columns},
                                .data = data,
                                .bytes = bytes};
}

static int call_verify(struct verifying *v, const struct subject *subject,
                       struct trit_report *report)
{
    const struct options *options = v->options;
    const struct layer_terms *terms = &subject->content->terms;
    struct trit_tensor tensor = tensor_of(subject->entry->type->dtype, &subject->matrices,
                                          subject->data, subject->bytes);
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
        how.scales = subject->scale_data;
        how.scale_bytes = subject->scale_bytes;
        how.scales_dtype = subject->scales->type->dtype;
    }
    if (subject->reference) {
        reference = tensor_of(subject->reference->type->dtype, &subject->matrices,
                              subject->reference_data, subject->reference_bytes);
        how.reference = &reference;
    }
    status = trit_verify(v->client, &tensor, &how, report, &error);
    return status == TRIT_OK ? 0
                             : fail(&v->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

/* The daemon compares with the mean magnitude, whatever config.json declares. */
static bool has_reciprocals(const struct verifying *v)
{
    return !v->record.layers && config_has_reciprocals(v->said.config);
}

/* A matrix that is not the projection of its latents. */
static void explain(struct verifying *v, const struct subject *subject)
{
    enum { EXPLAINED_MAX = 16 }; /* each costs several projections */
    const struct explained what = {
        .claim = {.rows = subject->matrices.rows,
                  .columns = subject->matrices.columns,
                  .terms = subject->content->terms,
                  .dtype = subject->entry->type->dtype,
                  .data = subject->data,
                  .scales = subject->scale_data,
                  .scales_dtype = subject->scales ? subject->scales->type->dtype
                                                  : TRIT_DTYPE_UNSPECIFIED},
        .latents_dtype = subject->reference->type->dtype,
        .latents = subject->reference_data,
        .reciprocal = !v->record.layers && config_has_reciprocals(v->said.config),
    };

    if (v->explained < EXPLAINED_MAX || what.reciprocal) {
        v->explained++;
        findings_explain(&v->findings, subject->name, &what);
    }
}

/* MLX reads scale * code + bias, which is ternary where the bias is -scale. */
static void check_biases(struct verifying *v, const struct subject *subject)
{
    struct bias_check found;
    struct trit_finding *added;

    if (!subject->biases)
        return;
    found = bias_check(subject->biases->type->dtype, subject->scale_data,
                       subject->bias_data, subject->bias_bytes);
    added = found.count ? findings_add(&v->findings, TRIT_FINDING_NOT_TERNARY,
                                       subject->name, NULL)
                        : NULL;
    if (!added)
        return;
    added->has_group = added->has_count = true;
    added->group = found.first;
    added->count = found.count;
    snprintf(added->expected, sizeof(added->expected), "bias %.9g", -found.scale);
    snprintf(added->got, sizeof(added->got), "bias %.9g", found.bias);
    snprintf(added->hint, sizeof(added->hint),
             "a weight is scale * code + bias: it is ternary where the bias is -scale");
}

static bool has_mismatch(const struct file_findings *findings, size_t first)
{
    for (size_t i = first; i < findings->count; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_CODES_DIFFER ||
            findings->list[i].finding.kind == TRIT_FINDING_SCALES_DIFFER)
            return true;
    return false;
}

static int show_part(struct verifying *v, const struct subject *subject,
                     struct trit_report *report)
{
    const size_t first = v->findings.count;
    bool failing = false;

    findings_add_report(&v->findings, subject->name, report,
                        option_given(v->options, OPTION_ALLOW_DEAD));
    check_biases(v, subject);
    if (subject->reference && (has_mismatch(&v->findings, first) || has_reciprocals(v)))
        explain(v, subject);
    for (size_t i = first; i < v->findings.count; i++)
        failing |= v->findings.list[i].finding.severity == TRIT_SEVERITY_ERROR;
    v->layers++;
    v->failing += failing;
    return showing_layer(&v->showing, subject->name, &subject->shown, report,
                         &v->failure);
}

static int verify_part(struct verifying *v, struct subject *subject, uint64_t number)
{
    struct trit_report report = TRIT_REPORT_INIT;
    int result = load_parts(v, subject, number);

    if (result == 0)
        result = call_verify(v, subject, &report);
    if (result == 0)
        result = show_part(v, subject, &report);
    free_parts(subject);
    progress_piece_done(&v->progress, subject->bytes);
    return result;
}

int verify_layer(struct verifying *v, const struct match_pair *pair)
{
    const struct content *content = &v->claim.items[pair->claim];
    const struct tensor_entry *dense = &content->dense;
    char name[MATRIX_NAME_BYTES];
    struct subject subject = {.content = content,
                              .entry = &v->claim.table->entries[pair->claim],
                              .matrices = content_matrices(content),
                              .shown = *dense,
                              .name = name};

    if (content->scales != CONTENT_NONE)
        subject.scales = &v->claim.table->entries[content->scales];
    if (content->biases != CONTENT_NONE)
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
        if (verify_part(v, &subject, i) < 0)
            return subject.matrices.count == 1
                       ? -1
                       : fail_context(&v->failure, "expert %" PRIu64, i);
    }
    v->examined += content_parameters(&v->claim, pair->claim);
    return 0;
}
