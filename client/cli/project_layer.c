/* SPDX-License-Identifier: Apache-2.0 */
/* Projects or copies one tensor of a file. */
#include <inttypes.h>

#include "client/cli/matrix.h"
#include "client/cli/project.h"
#include "client/cli/put.h"

int project_copy(struct projecting *p, size_t index)
{
    const struct tensor_entry *entry = &p->plan.contents.table->entries[index];
    const struct plan_item *item = &p->plan.items[index];
    const int result =
        put_copy(p->writer, item->data, p->input.reader, entry, &p->failure);

    progress_piece_done(&p->progress, entry->bytes);
    return result;
}

/* One matrix of a layer, under the name that reports and findings have. */
struct part {
    struct projecting *p;
    const struct tensor_entry *entry; /* of the layer */
    const struct plan_item *item;
    size_t index; /* of the layer */
    struct matrices matrices;
    const char *name;
    struct tensor_entry shown; /* the shape as text */
    bool streamed;             /* the matrix is read and written piece by piece */
};

/* A dead layer, and a lost scale where that is allowed, are warnings here: nothing
 * else could have come out. */
static int show_part(struct projecting *p, const struct part *part,
                     struct trit_report *report)
{
    const size_t first = p->findings.count;
    bool failing = false;

    findings_add_report(&p->findings, part->name, report, true);
    for (size_t i = first; i < p->findings.count; i++) {
        struct trit_finding *finding = &p->findings.list[i].finding;

        if (finding->kind == TRIT_FINDING_SCALE_LOST) {
            if (option_given(p->options, OPTION_ALLOW_LOST))
                finding->severity = TRIT_SEVERITY_WARNING;
            else
                p->lost++;
        }
        failing |= finding->severity == TRIT_SEVERITY_ERROR;
    }
    p->not_ternary += failing;
    return showing_layer(&p->showing, part->name, &part->shown, report, &p->failure);
}

/* Fits trit_write. */
static int put_piece(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    const struct part *part = arg;

    (void)offset; /* pieces come in order */
    return writer_put(part->p->writer, part->item->data, from, bytes, &part->p->failure);
}

static int call_project(struct projecting *p, struct part *part, struct matrix *matrix,
                        struct trit_projection *projection)
{
    const struct options *options = p->options;
    const struct trit_tensor tensor =
        matrix_tensor(matrix, part->entry->type->dtype, &part->matrices);
    const struct trit_layer_ref layer = {.size = sizeof(layer),
                                         .run = options->run,
                                         .layer = part->name,
                                         .step = options->step};
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = progress_update, .progress_arg = &p->progress};
    const struct trit_project_options how = {
        .size = sizeof(how),
        .group_size = options->group_size,
        .partial_group = options->partial_group,
        .encoding = options->encoding,
        .allow_lost_scales = true, /* the finding says so, and names the layer */
        .layer = &layer,
        .call = &call,
        .write = part->streamed ? put_piece : NULL,
        .write_arg = part};
    struct trit_error error = TRIT_ERROR_INIT;
    const enum trit_status status =
        trit_project(p->client, &tensor, &how, projection, &error);

    if (status == TRIT_OK)
        return 0;
    if (p->failure.status != TRIT_OK)
        return -1; /* a piece could not be read or written: that is the reason */
    return fail(&p->failure, status, error.field, "%s: %s", trit_status_name(status),
                error.message);
}

static int project_part(struct projecting *p, struct part *part, uint64_t number)
{
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_projection projection = {.size = sizeof(projection), .report = &report};
    struct matrix matrix;
    int result = matrix_open(&matrix, part->streamed, p->input.reader, part->entry,
                             &part->matrices, number, &p->failure);
    const uint64_t bytes = matrix.bytes;

    if (result == 0)
        result = call_project(p, part, &matrix, &projection);
    matrix_close(&matrix);
    const struct encoded encoded = {.data = part->streamed ? NULL : projection.data,
                                    .scales = projection.scales,
                                    .data_bytes = projection.data_bytes,
                                    .scale_bytes = projection.scale_bytes};
    if (result == 0)
        result = put_matrix(p->writer, &p->plan, part->index, &encoded, &p->failure);
    if (result == 0)
        result = show_part(p, part, &report);
    trit_projection_free(&projection);
    progress_piece_done(&p->progress, bytes);
    return result;
}

int project_layer(struct projecting *p, size_t index)
{
    const struct content *content = &p->plan.contents.items[index];
    char name[MATRIX_NAME_BYTES];
    struct part part = {.p = p,
                        .entry = &p->plan.contents.table->entries[index],
                        .item = &p->plan.items[index],
                        .index = index,
                        .matrices = content_matrices(content),
                        .name = name};

    part.streamed = matrix_is_streamed(p->options->encoding, part.entry, &part.matrices);
    part.shown = *part.entry;
    if (part.matrices.count > 1)
        part.shown =
            (struct tensor_entry){.type = part.entry->type,
                                  .rank = 2,
                                  .shape = {part.entry->shape[1], part.entry->shape[2]}};
    for (uint64_t i = 0; i < part.matrices.count; i++) {
        matrix_name(name, part.entry->name, &part.matrices, i);
        progress_piece(&p->progress, name);
        if (project_part(p, &part, i) < 0)
            return part.matrices.count == 1
                       ? -1
                       : fail_context(&p->failure, "expert %" PRIu64, i);
    }
    return 0;
}
