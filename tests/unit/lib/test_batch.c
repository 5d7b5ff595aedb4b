/* SPDX-License-Identifier: Apache-2.0 */
/* Many projections in one call. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <trit.h>

#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- fixture: a tensor of [3, 5] and one of [2, 4], in groups of 4 ------------------------ */

enum { GROUP = 4, FIRST = 15, SECOND = 8, CODES = 3 * 8 + 8, GROUPS = CODES / GROUP };

struct fixture {
    float latents[FIRST + SECOND], made[FIRST + SECOND];
    int8_t codes[CODES];
    float scales[GROUPS];
    struct trit_tensor tensors[2];
    struct fake_reply reply;
    struct fake_act acts[2];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
};

static void prepare(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->error = (struct trit_error)TRIT_ERROR_INIT;
    for (size_t i = 0; i < FIRST + SECOND; i++)
        f->latents[i] = i % 2 ? -1.0f : 1.0f;
    for (size_t i = 0; i < CODES; i++)
        f->codes[i] = (int8_t)((int)(i % 3) - 1);
    for (size_t i = 0; i < GROUPS; i++)
        f->scales[i] = (float)(i + 1);
    f->tensors[0] = (struct trit_tensor){.size = sizeof(struct trit_tensor),
                                         .dtype = TRIT_F32,
                                         .rank = 2,
                                         .shape = {3, 5},
                                         .data = f->latents,
                                         .bytes = FIRST * 4};
    f->tensors[1] = f->tensors[0];
    f->tensors[1].shape[0] = 2;
    f->tensors[1].shape[1] = 4;
    f->tensors[1].data = f->latents + FIRST;
    f->tensors[1].bytes = SECOND * 4;
}

static void good_reply(struct fixture *f)
{
    fake_reply_chunks(&f->reply, 1, f->scales, sizeof(f->scales), 8);
    fake_reply_chunks(&f->reply, 0, f->codes, sizeof(f->codes), 7);
}

static void start(struct fixture *f, size_t acts, const struct trit_retry_policy *retry)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .timeout_ms = 20000, .retry = retry};

    for (size_t i = 0; i < acts; i++) {
        f->acts[i].body = f->reply.bytes;
        f->acts[i].body_bytes = f->reply.count;
    }
    f->server = fake_start(f->acts, acts);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static enum trit_status project(struct fixture *f)
{
    const struct trit_tensor *tensors[] = {&f->tensors[0], &f->tensors[1]};
    void *outs[] = {f->made, f->made + FIRST};
    const struct trit_batch_options options = {.size = sizeof(options),
                                               .group_size = GROUP};

    return trit_project_batch(f->client, tensors, outs, 2, &options, &f->error);
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    fake_reply_free(&f->reply);
}

/* The weight of an element whose code is at `at` of the reply. */
static float expected(const struct fixture *f, size_t element, size_t at)
{
    return f->codes[at] ? (float)f->codes[at] * f->scales[at / GROUP]
                        : copysignf(0, f->latents[element]);
}

static void made_all(const struct fixture *f)
{
    float wanted[FIRST + SECOND];

    for (size_t i = 0; i < FIRST; i++)
        wanted[i] = expected(f, i, i / 5 * 8 + i % 5); /* rows are padded to 8 */
    for (size_t i = 0; i < SECOND; i++)
        wanted[FIRST + i] = expected(f, FIRST + i, 3 * 8 + i);
    CHECK_MEM(f->made, wanted, sizeof(wanted));
}

static void refused(struct fixture *f, enum trit_status got, enum trit_status wanted,
                    const char *field, const char *text)
{
    if (got != wanted || strcmp(f->error.field, field) != 0 ||
        !strstr(f->error.message, text))
        check_failed(__FILE__, __LINE__,
                     "%s, field %s (%s), instead of %s, field %s (%s)",
                     trit_status_name(got), f->error.field, f->error.message,
                     trit_status_name(wanted), field, text);
}

/* ---- cases ------------------------------------------------------------------------------ */

CASE(joined, "tensors go in one stream, and their weights are made of codes and scales")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f);
    good_reply(&f);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1, NULL);
    CHECK_EQ(project(&f), TRIT_OK);
    made_all(&f);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/ProjectStream");
    CHECK(request.body_bytes > CODES * 4 && request.body_bytes < CODES * 4 + 100);
    CHECK(!fake_request(f.server, 1, &request));
    stop(&f);
}

CASE(interrupted, "a batch is repeated although a part of its result has arrived")
{
    struct trit_retry_policy retry = TRIT_RETRY_POLICY_INIT;
    struct fake_request request;
    struct fixture f;

    prepare(&f);
    good_reply(&f);
    retry.initial_backoff_ms = 1;
    f.acts[0].deed = f.acts[1].deed = FAKE_ANSWER;
    f.acts[0].cut_at = f.reply.count - 10;
    start(&f, 2, &retry);
    CHECK_EQ(project(&f), TRIT_OK);
    made_all(&f);
    CHECK(fake_request(f.server, 1, &request));
    stop(&f);
}

CASE(codes_first, "codes that come before their scales are INTERNAL")
{
    struct fixture f;

    prepare(&f);
    fake_reply_chunks(&f.reply, 0, f.codes, sizeof(f.codes), sizeof(f.codes));
    fake_reply_chunks(&f.reply, 1, f.scales, sizeof(f.scales), sizeof(f.scales));
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1, NULL);
    refused(&f, project(&f), TRIT_INTERNAL, "", "codes before their scales");
    stop(&f);
}

CASE(not_finite, "the tensor with a NaN or infinity is named, with count and first index")
{
    struct fixture f;

    prepare(&f);
    f.latents[FIRST + 3] = NAN;
    f.latents[FIRST + 5] = INFINITY;
    f.acts[0] = (struct fake_act){
        .deed = FAKE_FAIL, .status = "3", .message = "chunk.data: 2 values, first at 27"};
    start(&f, 1, NULL);
    refused(&f, project(&f), TRIT_INVALID_ARGUMENT, "tensors[1]",
            "2 values are NaN or infinite, the first at flat index 3");
    stop(&f);
}

CASE(refusals, "tensors of several types, empty ones and NULL are refused by name")
{
    struct fixture f;

    prepare(&f);
    start(&f, 1, NULL);
    f.tensors[1].dtype = TRIT_BF16;
    f.tensors[1].bytes /= 2;
    refused(&f, project(&f), TRIT_INVALID_ARGUMENT, "tensors[1]",
            "bf16, but the first tensor is f32");
    f.tensors[1].shape[1] = 0;
    refused(&f, project(&f), TRIT_INVALID_ARGUMENT, "tensors[1].shape", "empty");
    const struct trit_tensor *two[] = {&f.tensors[0], &f.tensors[0]};
    void *outs[] = {f.made, NULL};

    refused(&f, trit_project_batch(f.client, two, outs, 2, NULL, &f.error),
            TRIT_INVALID_ARGUMENT, "outs[1]", "NULL");
    f.tensors[0].data = NULL;
    refused(&f, project(&f), TRIT_INVALID_ARGUMENT, "tensors[0].data", "NULL");
    CHECK_EQ(trit_project_batch(f.client, NULL, NULL, 0, NULL, &f.error), TRIT_OK);
    refused(&f, trit_project_batch(f.client, NULL, NULL, 1, NULL, &f.error),
            TRIT_INVALID_ARGUMENT, "tensors", "NULL");
    stop(&f);
}

CASE(overlaps, "a result that overlaps a tensor or another result is refused by name")
{
    struct fixture f;

    prepare(&f);
    start(&f, 1, NULL);
    const struct trit_tensor *tensors[] = {&f.tensors[0], &f.tensors[1]};
    const struct {
        void *outs[2];
        const char *field, *text;
    } rows[] = {
        {{f.latents, f.made},
         "outs[0]",
         "tensors[0]"}, /* in place: a retry would lack it */
        {{f.made, f.latents}, "outs[1]", "tensors[0]"},
        {{f.latents + FIRST - 1, f.made}, "outs[0]", "tensors[0]"},
        {{f.latents + FIRST, f.made}, "outs[0]", "tensors[1]"},
        {{f.made, f.made}, "outs[0]", "outs[1]"},
        {{f.made, f.made + FIRST - 1}, "outs[0]", "outs[1]"},
        {{f.made + SECOND - 1, f.made}, "outs[1]", "outs[0]"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const enum trit_status got =
            trit_project_batch(f.client, tensors, rows[i].outs, 2, NULL, &f.error);

        refused(&f, got, TRIT_INVALID_ARGUMENT, rows[i].field, rows[i].text);
    }
    CHECK_EQ(fake_connections(f.server), 0);
    stop(&f);
}
