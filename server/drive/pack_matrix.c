/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix of a layer that is packed or unpacked. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/regroup.h"
#include "drive/foreign_read.h"
#include "drive/pack_impl.h"
#include "kernels/kernels.h"

static int pack_whole(struct pack_work *work)
{
    const struct engine_pack asked = pack_asked(work);
    struct engine_projected packed = {.scales = NULL};
    int result = pack_call(work, &asked, &packed);

    if (result == 0) {
        const struct encoded encoded = {packed.scales, packed.data_bytes,
                                        packed.scale_bytes};

        work->piece->has_report = true;
        work->piece->report = packed.report;
        result = data_put_end(&work->data);
        if (result == 0)
            result = put_scales(work->p->writer, &work->p->plan, &work->piece->what,
                                &encoded, work->failure);
    }
    free(packed.scales);
    return result;
}

/* ---- the scales of the source ------------------------------------------------------------ */

static void replace_scales(struct pack_work *work, void *scales, uint64_t bytes)
{
    free(work->scales.scales);
    work->scales.scales = scales;
    work->scales.scale_bytes = bytes;
    work->scales.matrix.scales = scales;
}

static int no_memory(const struct pack_work *work)
{
    return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Makes the source's separate scales those of the output's groups. */
static int regroup(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const struct regroup how = {
        .rows = matrices->rows,
        .columns = matrices->columns,
        .width = dtype_bytes(work->scales.matrix.scales_dtype),
        .from = work->content->terms.group_size,
        .to = work->p->plan.terms.group_size,
    };

    if (!work->scales.scales || !how.from || !how.to || how.from == how.to)
        return 0;
    const uint64_t bytes = regroup_bytes(&how);
    void *scales = malloc((size_t)bytes + 1);
    if (!scales)
        return no_memory(work);
    if (regroup_scales(&how, work->scales.scales, scales, work->failure) < 0) {
        free(scales);
        return -1;
    }
    replace_scales(work, scales, bytes);
    return 0;
}

/* The scales of each row, in the order of the matrix's rows. */
static int order_scales(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const uint64_t row = work->scales.scale_bytes / matrices->rows;
    uint8_t *ordered;

    if (!matrices->heads.rows)
        return 0;
    ordered = malloc((size_t)work->scales.scale_bytes + 1);
    if (!ordered)
        return no_memory(work);
    for (uint64_t i = 0; i < matrices->rows; i++)
        memcpy(ordered + i * row,
               (const char *)work->scales.scales +
                   head_order_row(&matrices->heads, i) * row,
               (size_t)row);
    replace_scales(work, ordered, work->scales.scale_bytes);
    return 0;
}

static int load_scales(struct pack_work *work)
{
    const struct plan_piece *what = &work->piece->what;

    if (work->content->scales == CONTENT_NONE)
        return 0;
    if (side_load_scales(&work->p->input, what->index, what->number, &work->scales,
                         work->failure) < 0)
        return -1;
    if (matrix_is_whole(work->content->terms.encoding))
        return 0;
    if (order_scales(work) < 0)
        return -1;
    return work->p->plan.terms.encoding == TRIT_ENCODING_DENSE ? 0 : regroup(work);
}

/* ---- the matrix ---------------------------------------------------------------------------- */

static int open_source(struct pack_work *work)
{
    struct repacking *p = work->p;
    const struct plan_piece *what = &work->piece->what;
    const struct tensor_entry *entry = &p->plan.contents.table->entries[what->index];
    struct matrices data = what->matrices;

    if (content_is_foreign(work->content)) {
        matrix_open_packed(&work->source, p->input.input.reader, &p->input.contents,
                           what->index, what->number, work->failure);
        return work->streamed ? 0
                              : matrix_piece(&work->source, 0, work->source.bytes,
                                             &work->source.data);
    }
    data.as_int8 = work->as_int8;
    data.quarters =
        data.heads.rows && work->content->terms.encoding == TRIT_ENCODING_HF_BITNET;
    data.transposed &= encoding_keeps_layout(work->content->terms.encoding);
    if (matrix_open(&work->source, work->streamed, p->input.input.reader, entry, &data,
                    what->number, work->failure) < 0)
        return -1;
    return load_scales(work);
}

/* Does source or output have one scale? */
static bool is_whole(const struct pack_work *work)
{
    return matrix_is_whole(work->content->terms.encoding) ||
           matrix_is_whole(work->p->plan.terms.encoding);
}

/* Does each byte of source or output hold a row of each quarter of the matrix? The daemon
 * takes i2_s as a whole. */
static bool has_quarters(const struct pack_work *work)
{
    const enum trit_encoding from = work->content->terms.encoding;
    const enum trit_encoding to = work->p->plan.terms.encoding;

    return is_whole(work) && from != TRIT_ENCODING_I2_S && to != TRIT_ENCODING_I2_S;
}

static int do_matrix(struct pack_work *work)
{
    struct repacking *p = work->p;
    const bool unpack = p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    const bool large = work->streamed && is_whole(work);
    int result;

    if (large && has_quarters(work))
        return pack_quarters(work);
    if (unpack || !large)
        return unpack ? pack_unpack(work) : pack_whole(work);
    /* All codes of such a matrix are in memory. */
    pthread_mutex_lock(&p->whole);
    result = pack_whole(work);
    pthread_mutex_unlock(&p->whole);
    return result;
}

static int refuse_scales(struct pack_work *work)
{
    const bool dense = work->p->plan.terms.encoding == TRIT_ENCODING_DENSE;
    struct scale_faults faults = {.lost = {.count = 0}};

    if (!content_is_foreign(work->content))
        return 0;
    return foreign_read_faults(work->p->input.input.reader, &work->p->input.contents,
                               work->piece->what.index, work->piece->what.number, &faults,
                               work->failure) < 0
               ? -1
               : scale_faults_refuse(&faults, dense, work->failure);
}

static int run_matrix(struct pack_work *work)
{
    struct repacking *p = work->p;
    int result =
        work->piece->what.number == 0
            ? side_check_biases(&p->input, work->piece->what.index, work->failure)
            : 0;

    if (result == 0)
        result = refuse_scales(work);
    if (result == 0)
        result = open_source(work);
    data_put_open(&work->data, p->writer, &p->plan, &work->piece->what, work->failure);
    if (result == 0)
        result = do_matrix(work);
    if (result == 0 && p->plan.terms.encoding == TRIT_ENCODING_DENSE && is_whole(work))
        pack_count_scale(work);
    data_put_close(&work->data);
    matrix_close(&work->source);
    side_unload(&work->scales);
    return result;
}

/* MLX has no groups of more than 128 weights, which blocks of 256 need. */
static bool wants_int8(const struct pack_work *work)
{
    const struct layer_terms *to = &work->p->plan.terms;
    const struct layer_terms terms = {.encoding = TRIT_ENCODING_MLX_2BIT,
                                      .group_size = to->group_size};

    return work->content->terms.encoding == TRIT_ENCODING_MLX_2BIT &&
           !content_is_foreign(work->content) && to->encoding != TRIT_ENCODING_DENSE &&
           to->group_size && terms_check(&terms, NULL) < 0;
}

int pack_matrix(struct pack_work *work)
{
    const struct side *input = &work->p->input;
    const size_t index = work->piece->what.index;

    work->content = &input->contents.items[index];
    work->dtype = content_dtype(&input->contents, index);
    work->as_int8 = wants_int8(work);
    /* A small matrix with one scale is one message. */
    work->streamed = !is_whole(work) ||
                     !matrix_is_small(&work->content->dense, &work->piece->what.matrices);
    return run_matrix(work);
}
