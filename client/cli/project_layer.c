/* SPDX-License-Identifier: Apache-2.0 */
/* One tensor of a file that is projected. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "client/cli/matrix.h"
#include "client/cli/project.h"

enum { COPY_BYTES = 1 << 20 };

int project_copy(struct projecting *p, size_t index)
{
    const struct tensor_entry *entry = &p->plan.contents.table->entries[index];
    const struct plan_item *item = &p->plan.items[index];
    uint8_t *buffer = malloc(COPY_BYTES);
    int result =
        buffer ? 0 : fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COPY_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = u64_min(left, COPY_BYTES);

        result = reader_read(p->input.reader, entry, at, buffer, piece, &p->failure);
        if (result == 0)
            result = writer_put(p->writer, item->data, buffer, piece, &p->failure);
    }
    free(buffer);
    progress_piece_done(&p->progress, entry->bytes);
    return result;
}

/* One matrix of a layer, under the name that reports and findings have. */
struct part {
    struct projecting *p;
    const struct tensor_entry *entry; /* of the layer */
    const struct plan_item *item;
    struct matrices matrices;
    const char *name;
    struct tensor_entry shown; /* its shape as it is told */
    bool streamed;             /* it is read and its result written piece by piece */
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

/* Data that keep the layout of a layer stored [in, out] are turned back. */
static int put_data(struct projecting *p, const struct part *part,
                    const struct trit_projection *projection)
{
    const enum trit_encoding encoding = p->options->encoding;
    struct matrices stored = part->matrices;
    size_t width = encoding == TRIT_ENCODING_DENSE ? part->entry->type->bits / 8 : 1;
    void *copy;
    const void *data;
    int result;

    stored.transposed &= encoding_keeps_layout(encoding);
    data = matrix_stored(projection->data, projection->data_bytes, &stored, width, &copy);
    if (!data)
        return fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = writer_put(p->writer, part->item->data, data, projection->data_bytes,
                        &p->failure);
    free(copy);
    return result;
}

/* MLX's biases: every scale with its sign turned. */
static int put_biases(struct projecting *p, const struct plan_item *item,
                      const void *scales, uint64_t bytes)
{
    uint16_t piece[512];

    for (uint64_t at = 0; at < bytes; at += sizeof(piece)) {
        const uint64_t left = bytes - at;
        const size_t count = left < sizeof(piece) ? (size_t)left : sizeof(piece);

        memcpy(piece, (const char *)scales + at, count);
        for (size_t i = 0; i < count / sizeof(*piece); i++)
            piece[i] ^= 0x8000;
        if (writer_put(p->writer, item->biases, piece, count, &p->failure) < 0)
            return -1;
    }
    return 0;
}

/* The daemon's answer must have the sizes that the output's header promised. */
static int put_projection(struct projecting *p, const struct part *part,
                          const struct trit_projection *projection)
{
    const struct tensor_entry *entries = p->plan.table.entries;
    const struct plan_item *item = part->item;
    const uint64_t count = part->matrices.count;
    const uint64_t data_bytes = entries[item->data].bytes / count;
    const uint64_t scale_bytes =
        item->scales == PLAN_NONE ? 0 : entries[item->scales].bytes / count;

    if (projection->data_bytes != data_bytes || projection->scale_bytes != scale_bytes)
        return fail(&p->failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    projection->data_bytes, projection->scale_bytes, data_bytes,
                    scale_bytes);
    if (!part->streamed && put_data(p, part, projection) < 0)
        return -1;
    if (item->scales == PLAN_NONE)
        return 0;
    if (writer_put(p->writer, item->scales, projection->scales, scale_bytes,
                   &p->failure) < 0)
        return -1;
    return item->biases == PLAN_NONE
               ? 0
               : put_biases(p, item, projection->scales, scale_bytes);
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
    if (result == 0)
        result = put_projection(p, part, &projection);
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
