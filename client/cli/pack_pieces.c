/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a file that is packed or unpacked: lanes do the pieces, the main thread
 * counts what was rounded. */
#include <inttypes.h>
#include <stdlib.h>

#include "checkpoint/decode.h"
#include "client/cli/matrix.h"
#include "client/cli/pack.h"
#include "client/cli/put.h"
#include "kernels/kernels.h"

struct piece {
    struct plan_piece what;
    uint64_t rounded;
};

/* What one lane needs for its piece. */
struct work {
    struct packing_run *p;
    struct piece *piece;
    struct progress_piece progress;
    struct trit_call_options call;
    struct failure *failure;
};

static struct trit_tensor tensor_of(const struct side_matrix *loaded)
{
    struct trit_tensor tensor = TRIT_TENSOR_INIT;

    tensor.dtype = loaded->matrix.dtype;
    tensor.rank = 2;
    tensor.shape[0] = loaded->matrix.rows;
    tensor.shape[1] = loaded->matrix.columns;
    tensor.data = loaded->data;
    tensor.bytes = loaded->data_bytes;
    return tensor;
}

static int answer(struct work *work, enum trit_status status,
                  const struct trit_error *error)
{
    return status == TRIT_OK ? 0
                             : fail(work->failure, status, error->field, "%s: %s",
                                    trit_status_name(status), error->message);
}

static uint64_t rounded_of(const struct trit_report *report)
{
    uint64_t rounded = 0;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_SCALE_ROUNDED)
            rounded += report->findings[i].count;
    return rounded;
}

static int pack_matrix(struct work *work, const struct side_matrix *loaded)
{
    struct packing_run *p = work->p;
    const struct trit_tensor tensor = tensor_of(loaded);
    const struct layer_terms *source = &loaded->matrix.terms;
    struct trit_pack_options options = TRIT_PACK_OPTIONS_INIT;
    struct trit_projection packed = TRIT_PROJECTION_INIT;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    int result;

    options.call = &work->call;
    options.source_encoding = source->encoding;
    options.scales = loaded->scales;
    options.scale_bytes = loaded->scale_bytes;
    options.scales_dtype = loaded->matrix.scales_dtype;
    options.group_size = p->plan.terms.group_size;
    /* The tensor's one scale follows from those of its groups. */
    if (options.group_size == 0 && loaded->scales)
        options.group_size = source->group_size;
    options.encoding = p->plan.terms.encoding;
    options.allow_rounded_scales = option_given(p->options, OPTION_ROUND_SCALES);
    packed.report = &report;
    result =
        answer(work, trit_pack(p->client, &tensor, &options, &packed, &error), &error);
    if (result == 0) {
        const struct encoded encoded = {packed.data, packed.scales, packed.data_bytes,
                                        packed.scale_bytes};

        work->piece->rounded = rounded_of(&report);
        result =
            put_matrix(p->writer, &p->plan, &work->piece->what, &encoded, work->failure);
    }
    trit_projection_free(&packed);
    return result;
}

/* A dense layer stays as it is, in the type that is asked for. */
static int convert_matrix(struct work *work, const struct side_matrix *loaded)
{
    struct packing_run *p = work->p;
    const struct plan_item *item = &p->plan.items[work->piece->what.index];
    const enum trit_dtype to = p->plan.table.entries[item->data].type->dtype;
    const uint64_t count = loaded->matrix.rows * loaded->matrix.columns;
    struct encoded encoded = {.data_bytes = count * dtype_bytes(to)};
    void *data = malloc((size_t)encoded.data_bytes + 1);
    uint64_t bad;
    int result;

    if (!data)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    encoded.data = data;
    result =
        floats_convert(loaded->matrix.dtype, loaded->data, to, data, count, &bad)
            ? put_matrix(p->writer, &p->plan, &work->piece->what, &encoded, work->failure)
            : fail(work->failure, TRIT_INVALID_ARGUMENT, NULL,
                   "%s does not hold element %" PRIu64 " exactly",
                   element_type_of(to)->name, bad);
    free(data);
    return result;
}

static int unpack_matrix(struct work *work, const struct side_matrix *loaded)
{
    if (loaded->matrix.terms.encoding == TRIT_ENCODING_DENSE)
        return convert_matrix(work, loaded);
    struct packing_run *p = work->p;
    const struct trit_tensor tensor = tensor_of(loaded);
    const struct plan_item *item = &p->plan.items[work->piece->what.index];
    struct trit_unpack_options options = TRIT_UNPACK_OPTIONS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct encoded encoded = {.scales = NULL};
    void *data = NULL;
    int result;

    options.call = &work->call;
    options.encoding = loaded->matrix.terms.encoding;
    options.group_size = loaded->matrix.terms.group_size;
    options.dtype = p->plan.table.entries[item->data].type->dtype;
    options.scales = loaded->scales;
    options.scale_bytes = loaded->scale_bytes;
    options.scales_dtype = loaded->matrix.scales_dtype;
    result = answer(
        work,
        trit_unpack(p->client, &tensor, &options, &data, &encoded.data_bytes, &error),
        &error);
    if (result == 0) {
        encoded.data = data;
        result =
            put_matrix(p->writer, &p->plan, &work->piece->what, &encoded, work->failure);
    }
    trit_free(data);
    return result;
}

static int run_matrix(struct work *work)
{
    struct packing_run *p = work->p;
    const struct plan_piece *what = &work->piece->what;
    const bool unpack = p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    struct side_matrix loaded = {.data = NULL};
    int result;

    result =
        what->number == 0 ? side_check_biases(&p->input, what->index, work->failure) : 0;
    if (result == 0)
        result = side_load(&p->input, what->index, what->number, &loaded, work->failure);
    if (result == 0)
        result = (unpack ? unpack_matrix : pack_matrix)(work, &loaded);
    side_unload(&loaded);
    return result;
}

static int run_alone(struct work *work)
{
    int result;

    pthread_mutex_lock(&work->p->whole);
    result = run_matrix(work);
    pthread_mutex_unlock(&work->p->whole);
    return result;
}

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct packing_run *p = owner;
    struct piece *piece = arg;
    const struct plan_piece *what = &piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct work work = {.p = p, .piece = piece, .failure = failure};
    int result;

    work.call = (struct trit_call_options)TRIT_CALL_OPTIONS_INIT;
    work.call.progress = progress_update;
    work.call.progress_arg = &work.progress;
    progress_piece_begin(&work.progress, &p->progress, what->name, stopped);
    result = interrupt_check(failure);
    if (result == 0)
        result = !what->is_layer ? put_copy(p->writer, p->plan.items[what->index].data,
                                            p->input.input.reader, entry, failure)
                 : matrix_is_small(entry, &what->matrices) ? run_matrix(&work)
                                                           : run_alone(&work);
    progress_piece_end(&work.progress, entry->bytes / what->matrices.count);
    return result < 0 ? fail_context(failure, "%s", what->name) : 0;
}

static bool next_piece(void *owner, void *piece)
{
    struct packing_run *p = owner;

    return plan_cursor_next(&p->plan, &p->cursor, &((struct piece *)piece)->what);
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct packing_run *p = owner;
    const struct piece *piece = arg;

    (void)failure;
    p->rounded += piece->rounded;
    return 0;
}

int pack_pieces(struct packing_run *p)
{
    const struct lanes_work work = {.owner = p,
                                    .piece_bytes = sizeof(struct piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    return lanes_run(&work, &p->failure);
}
