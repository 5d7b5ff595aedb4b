/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of a file that is verified. */
#include <stdlib.h>

#include "client/cli/verify.h"

/* One layer, with all that its call needs. */
struct subject {
    const struct tensor_entry *entry; /* its data in the file */
    const struct content *content;
    const struct tensor_entry *scales;    /* or NULL */
    const struct tensor_entry *reference; /* or NULL */
    void *data, *scale_data, *reference_data;
};

static int load_parts(struct verifying *v, struct subject *subject)
{
    if (reader_load(v->reader, subject->entry, &subject->data, &v->failure) != 0 ||
        (subject->scales &&
         reader_load(v->reader, subject->scales, &subject->scale_data, &v->failure) != 0))
        return -1;
    return subject->reference ? reader_load(v->reference, subject->reference,
                                            &subject->reference_data, &v->failure)
                              : 0;
}

static struct trit_tensor tensor_of(enum trit_dtype dtype, const struct matrix *matrix,
                                    const void *data, uint64_t bytes)
{
    return (struct trit_tensor){.dtype = dtype,
                                .rank = 2,
                                .shape = {matrix->rows, matrix->columns},
                                .data = data,
                                .bytes = bytes};
}

static int call_verify(struct verifying *v, const struct subject *subject,
                       struct trit_report *report)
{
    const struct options *options = v->options;
    const struct layer_terms *terms = &subject->content->terms;
    const struct tensor_entry *dense = &subject->content->dense;
    struct matrix matrix = matrix_of(dense->rank, dense->shape);
    struct trit_tensor tensor = tensor_of(subject->entry->type->dtype, &matrix,
                                          subject->data, subject->entry->bytes);
    struct trit_tensor reference;
    struct trit_verify_options call = {
        .mode = options->mode,
        .group_size = terms->group_size,
        .partial_group = terms->partial_group,
        .tolerance = options->tolerance,
        .has_tolerance = option_given(options, OPTION_TOLERANCE),
        .encoding = terms->encoding,
        .call = {.progress = progress_update, .progress_arg = &v->progress}};
    struct trit_error error;
    enum trit_status status;

    if (subject->scales) {
        call.scales = subject->scale_data;
        call.scale_bytes = subject->scales->bytes;
        call.scales_dtype = subject->scales->type->dtype;
    }
    if (subject->reference) {
        reference = tensor_of(subject->reference->type->dtype, &matrix,
                              subject->reference_data, subject->reference->bytes);
        call.reference = &reference;
    }
    if (options->run)
        call.layer =
            (struct trit_layer_ref){options->run, subject->entry->name, options->step};
    status = trit_verify(v->client, &tensor, &call, report, &error);
    return status == TRIT_OK ? 0
                             : fail(&v->failure, status, error.field, "%s: %s",
                                    trit_status_name(status), error.message);
}

static int show_layer(struct verifying *v, const struct subject *subject,
                      struct trit_report *report)
{
    const size_t first = v->findings.count;
    bool failing = false;

    findings_add_report(&v->findings, subject->entry->name, report,
                        option_given(v->options, OPTION_ALLOW_DEAD));
    for (size_t i = first; i < v->findings.count; i++)
        failing |= v->findings.list[i].finding.severity == TRIT_SEVERITY_ERROR;
    v->layers++;
    v->failing += failing;
    return showing_layer(&v->showing, subject->entry->name, &subject->content->dense,
                         report, &v->failure);
}

int verify_layer(struct verifying *v, size_t index, const struct tensor_entry *reference)
{
    const struct content *content = &v->claim.items[index];
    struct subject subject = {.entry = &v->claim.table->entries[index],
                              .content = content,
                              .reference = reference};
    struct trit_report report;

    if (content->scales != CONTENT_NONE)
        subject.scales = &v->claim.table->entries[content->scales];
    int result = load_parts(v, &subject);
    if (result == 0)
        result = call_verify(v, &subject, &report);
    if (result == 0)
        result = show_layer(v, &subject, &report);
    free(subject.data);
    free(subject.scale_data);
    free(subject.reference_data);
    if (result == 0)
        v->examined += content_parameters(&v->claim, index);
    return result;
}
