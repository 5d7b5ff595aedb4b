/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's engine of checkpoints: packing. */
#include "services/checkpoints/engine.h"

#include <stdlib.h>
#include <string.h>

#include "async/loop.h"
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "work/pool.h"

enum { ROWS = 8, COLUMNS = 512, VALUES = ROWS * COLUMNS, BYTES = VALUES * 4 };

static int go_on(struct progress *progress, struct failure *failure)
{
    (void)progress, (void)failure;
    return 0;
}
static int stop(struct progress *progress, struct failure *failure)
{
    (void)progress;
    return fail(failure, TRIT_CANCELLED, NULL, "stopped");
}
static const struct progress_ops goes_on = {.check = go_on}, stops = {.check = stop};

struct fixture {
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct pool *pool;
    struct kernel_engine engine;
    const struct progress_ops *ops;
    struct failure failure;
};

static void fixture_open(struct fixture *f)
{
    *f = (struct fixture){.loop = loop_create(), .ops = &goes_on};
    CHECK(mailbox_create(&f->mailbox, f->loop, NULL) == 0);
    CHECK(pool_start(&f->pool, 1, f->mailbox, NULL) == 0);
    kernel_engine_init(&f->engine, kernels_select(NULL), f->pool, NULL, "1");
}

static void fixture_close(struct fixture *f)
{
    pool_stop(f->pool);
    mailbox_close(f->mailbox);
    loop_destroy(f->loop);
}

/* A matrix in some encoding. */
struct coded {
    enum trit_encoding encoding;
    uint32_t group_size;
    uint8_t data[BYTES];
    uint64_t bytes;
    void *scales; /* malloc'ed, or NULL */
    uint64_t scale_bytes;
};

static int take(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    struct coded *coded = arg;

    CHECK(offset == coded->bytes && bytes <= BYTES - offset);
    memcpy(coded->data + offset, from, (size_t)bytes);
    coded->bytes += bytes;
    return 0;
}

static void ternary(struct coded *coded)
{
    *coded = (struct coded){.encoding = TRIT_ENCODING_DENSE, .bytes = BYTES};
    for (size_t i = 0; i < VALUES; i++) {
        const float value = 0.375F * (float)((int)(i * 7 % 3) - 1);

        memcpy(coded->data + 4 * i, &value, sizeof(value));
    }
}

static enum trit_dtype dtype_of_scales(enum trit_encoding encoding)
{
    return encoding == TRIT_ENCODING_MLX_2BIT ? TRIT_F16 : TRIT_F32;
}

/* `to` is another matrix. */
static int pack(struct fixture *f, struct coded *from, enum trit_encoding encoding,
                uint32_t group_size, struct coded *to)
{
    struct matrix matrix = {
        .data = from->data, .bytes = from->bytes, .failure = &f->failure};
    const struct engine_pack what = {
        .name = "l",
        .rows = ROWS,
        .columns = COLUMNS,
        .source = {&matrix, TRIT_F32},
        .from = from->encoding,
        .to = encoding,
        .dtype = TRIT_F32,
        .group_size = encoding == TRIT_ENCODING_DENSE ? from->group_size : group_size,
        .scales = from->scales,
        .scale_bytes = from->scale_bytes,
        .scales_dtype =
            from->scales ? dtype_of_scales(from->encoding) : TRIT_DTYPE_UNSPECIFIED,
        .write = take,
        .write_arg = to};
    struct engine_projected result = {.scales = NULL};
    struct progress_piece piece;
    struct progress progress;

    *to = (struct coded){.encoding = encoding, .group_size = group_size};
    f->failure = (struct failure){.status = TRIT_OK};
    progress_init(&progress, f->ops, 0);
    progress_piece_begin(&piece, &progress, "l", NULL);
    const int ended =
        f->engine.engine.pack(f->engine.engine.arg, &what, &piece, &result, &f->failure);
    progress_fini(&progress);
    to->scales = result.scales;
    to->scale_bytes = result.scale_bytes;
    CHECK(ended < 0 || result.data_bytes == to->bytes);
    if (ended == 0 && encoding != TRIT_ENCODING_DENSE)
        CHECK(result.report.is_ternary && result.report.elements == VALUES);
    return ended;
}

/* Encodings of all kinds: scales of groups, in blocks, of the tensor, behind the codes. */
static const struct form {
    enum trit_encoding encoding;
    uint32_t group_size;
} forms[] = {{TRIT_ENCODING_INT8, 128},    {TRIT_ENCODING_PQ2_0, 128},
             {TRIT_ENCODING_TQ2_0, 256},   {TRIT_ENCODING_MLX_2BIT, 128},
             {TRIT_ENCODING_HF_BITNET, 0}, {TRIT_ENCODING_I2_S, 0}};
enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

/* The groups that both have: one with one scale takes those of the other. */
static uint32_t shared_groups(const struct form *from, const struct form *to)
{
    return to->group_size ? to->group_size : from->group_size;
}

CASE(every_form, "every encoding becomes every other one, and the same values again")
{
    static struct coded dense, first, second, values;
    struct fixture f;

    fixture_open(&f);
    ternary(&dense);
    for (size_t i = 0; i < FORMS; i++)
        for (size_t k = 0; k < FORMS; k++) {
            if (forms[i].group_size && forms[k].group_size &&
                forms[i].group_size != forms[k].group_size)
                continue; /* drive/pack makes scales of other groups */
            CHECK_EQ(pack(&f, &dense, forms[i].encoding, forms[i].group_size, &first), 0);
            CHECK_EQ(pack(&f, &first, forms[k].encoding,
                          shared_groups(&forms[i], &forms[k]), &second),
                     0);
            second.group_size = forms[k].group_size;
            CHECK_EQ(pack(&f, &second, TRIT_ENCODING_DENSE, 0, &values), 0);
            CHECK_EQ(values.bytes, BYTES);
            for (size_t v = 0; v < VALUES; v++) {
                float wanted, got;

                memcpy(&wanted, dense.data + 4 * v, sizeof(wanted));
                memcpy(&got, values.data + 4 * v, sizeof(got));
                CHECK(wanted == got); /* -0 is 0 */
            }
            free(first.scales);
            free(second.scales);
        }
    fixture_close(&f);
}

CASE(refuses, "what does not fit is refused for its first group, without a field's name")
{
    static struct coded dense, packed;
    const float odd = 3;
    struct fixture f;

    fixture_open(&f);
    ternary(&dense);
    memcpy(dense.data + 4 * 300, &odd, sizeof(odd));
    CHECK(pack(&f, &dense, TRIT_ENCODING_PQ2_0, 128, &packed) < 0);
    CHECK_EQ(f.failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(strncmp(f.failure.message, "group 2 (elements 256 to 383", 28) == 0);
    CHECK(pack(&f, &dense, TRIT_ENCODING_I2_S, 0, &packed) < 0);
    CHECK(strncmp(f.failure.message, "group 0 (elements 0 to 4095", 27) == 0);
    f.ops = &stops;
    ternary(&dense);
    for (size_t i = 0; i < FORMS; i++)
        if (forms[i].encoding != TRIT_ENCODING_HF_BITNET) {
            CHECK(pack(&f, &dense, forms[i].encoding, forms[i].group_size, &packed) < 0);
            CHECK_EQ(f.failure.status, TRIT_CANCELLED);
        }
    fixture_close(&f);
}

CASE(no_memory, "whichever allocation fails, packing fails or gives the same bytes")
{
    static struct coded dense, first, second, again;
    struct fixture f;

    fixture_open(&f);
    ternary(&dense);
    for (size_t i = 0; i < FORMS; i++) {
        const struct form *from = &forms[i], *to = &forms[(i + 4) % FORMS];
        bool faulted = true;

        if (from->group_size && to->group_size && from->group_size != to->group_size)
            continue;
        CHECK_EQ(pack(&f, &dense, from->encoding, from->group_size, &first), 0);
        CHECK_EQ(pack(&f, &first, to->encoding, shared_groups(from, to), &second), 0);
        for (uint64_t n = 1; faulted; n++) {
            CHECK(n < 1000);
            fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
            const int result =
                pack(&f, &first, to->encoding, shared_groups(from, to), &again);

            faulted = fault_disarm();
            if (result < 0)
                CHECK_EQ(f.failure.status, TRIT_RESOURCE_EXHAUSTED);
            else
                CHECK(memcmp(again.data, second.data, BYTES) == 0);
            free(again.scales);
        }
        free(first.scales);
        free(second.scales);
    }
    fixture_close(&f);
}

static void set(void *arg)
{
    *(int *)arg = 7;
}

CASE(computes, "other work is done by a worker, and its caller waits for it")
{
    struct fixture f;
    int value = 0;

    fixture_open(&f);
    CHECK_EQ(engine_compute(&f.engine.engine, 1, set, &value, &f.failure), 0);
    CHECK_EQ(value, 7);
    CHECK_EQ(engine_compute(NULL, 1, set, &value, &f.failure), 0);
    fixture_close(&f);
}
