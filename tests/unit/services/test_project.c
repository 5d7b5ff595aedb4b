/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/framing.h"
#include "proto/scan.h"
#include "services/config.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"

/* ---- helpers -------------------------------------------------------------------- */

struct answer { /* a ProjectResponse, or a stream's messages put together */
    struct trit_report report;
    bool has_report;
    uint8_t *data, *scales;
    size_t data_bytes, scale_bytes;
    size_t messages;
};

static void append(uint8_t **to, size_t *count, const uint8_t *bytes, size_t more)
{
    *to = realloc(*to, *count + more + 1);
    memcpy(*to + *count, bytes, more);
    *count += more;
}

static void read_blobs(struct scan *scanner, const uint8_t *bytes, size_t count,
                       struct answer *answer)
{
    struct scanned found;

    for (;;) {
        enum scan_event event = scan(scanner, &bytes, &count, &found);

        if (event == SCAN_MORE)
            return;
        CHECK(event != SCAN_ERROR);
        if (event == SCAN_BLOB_BYTES && found.blob == BLOB_DATA)
            append(&answer->data, &answer->data_bytes, found.bytes, found.count);
        if (event == SCAN_BLOB_BYTES && found.blob == BLOB_SCALES)
            append(&answer->scales, &answer->scale_bytes, found.bytes, found.count);
    }
}

static void read_unary(const struct exchange *exchange, struct answer *answer)
{
    struct wire_projected_head head = {0};
    char error[CODEC_ERROR_BYTES];
    const uint8_t *bytes;
    struct scan scanner;
    size_t count;

    *answer = (struct answer){.messages = 1};
    CHECK_STR(exchange->message, "");
    CHECK_EQ(exchange->status, 0);
    bytes = exchange_message(exchange, 0, &count);
    CHECK(bytes);
    scan_init(&scanner, scan_projected, count);
    read_blobs(&scanner, bytes, count, answer);
    CHECK(scan_complete(&scanner));
    CHECK(decode_projected(&scanner.parts[PART_ROOT], &head, error) == 0);
    answer->has_report = head.has_report;
    answer->report = head.report;
    scan_fini(&scanner);
}

static void read_stream(const struct exchange *exchange, struct answer *answer)
{
    char error[CODEC_ERROR_BYTES];
    const uint8_t *bytes;
    size_t count;

    *answer = (struct answer){0};
    CHECK_STR(exchange->message, "");
    CHECK_EQ(exchange->status, 0);
    while ((bytes = exchange_message(exchange, answer->messages, &count))) {
        struct scan scanner;
        bool has_report = false;

        scan_init(&scanner, scan_stream_reply, count);
        read_blobs(&scanner, bytes, count, answer);
        CHECK(decode_stream_report(&scanner.parts[PART_ROOT], &has_report,
                                   &answer->report, error) == 0);
        answer->has_report |= has_report;
        scan_fini(&scanner);
        answer->messages++;
    }
}

static void answer_free(struct answer *answer)
{
    free(answer->data);
    free(answer->scales);
}

/* All but the time, which differs from call to call. */
static void same_report(const struct trit_report *a, const struct trit_report *b)
{
    uint8_t x[2048], y[2048];
    struct trit_report copy = *b;
    size_t count = encode_report(a, x, sizeof(x));

    copy.time_unix_ns = a->time_unix_ns;
    memcpy(copy.kernel, a->kernel, sizeof(copy.kernel));
    CHECK_EQ(encode_report(&copy, y, sizeof(y)), count);
    CHECK_MEM(x, y, count);
}

enum { ROWS = 37, COLUMNS = 1100 }; /* 158 KiB: several tiles, short last groups */

static float weights[ROWS * COLUMNS];

static struct answer project(struct service *service, const struct wire_project *options,
                             size_t cut)
{
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    struct request request = ask_project(options, &tensor, weights, sizeof(weights));
    struct exchange exchange;
    struct answer answer;

    ask(service, &exchange, project_path, &request, cut);
    read_unary(&exchange, &answer);
    exchange_free(&exchange);
    return answer;
}

static struct answer project_stream(struct service *service, struct wire_project options,
                                    size_t chunk, size_t cut)
{
    struct exchange exchange;
    struct request request;
    struct answer answer;

    options.tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    request = ask_project_stream(&options, weights, sizeof(weights), chunk);
    ask(service, &exchange, project_stream_path, &request, cut);
    read_stream(&exchange, &answer);
    exchange_free(&exchange);
    return answer;
}

/* ---- cases ------------------------------------------------------------------------ */

static void by_hand(const float *row, size_t count, float *out)
{
    for (size_t at = 0; at < count; at += 128) {
        size_t length = count - at < 128 ? count - at : 128;
        double sum = 0;
        float scale;

        for (size_t i = 0; i < length; i++)
            sum += fabs((double)row[at + i]);
        scale = (float)(sum / 128);
        for (size_t i = 0; i < length; i++) {
            float w = row[at + i];
            float t = scale > 0 ? rintf(w / scale) : 0.0F * w;

            out[at + i] = (t > 1 ? 1 : t < -1 ? -1 : t) * scale;
        }
    }
}

CASE(dense_is_by_hand, "a dense projection equals the definition, computed by hand")
{
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    const struct wire_project request = {0};
    float *expected = malloc(sizeof(weights));
    struct answer answer;

    random_weights(weights, ROWS * COLUMNS, check_seed());
    for (size_t row = 0; row < ROWS; row++)
        by_hand(weights + row * COLUMNS, COLUMNS, expected + row * COLUMNS);
    answer = project(service, &request, 0);
    CHECK_EQ(answer.data_bytes, sizeof(weights));
    CHECK_MEM(answer.data, expected, sizeof(weights));
    CHECK_EQ(answer.report.elements, ROWS * COLUMNS);
    CHECK_EQ(answer.report.negatives + answer.report.zeros + answer.report.positives,
             ROWS * COLUMNS);
    CHECK(answer.report.is_ternary);
    answer_free(&answer);
    free(expected);
    service_close(service);
}

/* Unary and streamed, whatever is cut where: the first answer is the measure. */
static void every_cut(struct service *service, enum trit_encoding encoding,
                      struct answer *first)
{
    static const size_t chunks[] = {1000, 65536, 1 << 20}, cuts[] = {0, 1777};
    const struct wire_project options = {.encoding = encoding, .group_size = 100};
    struct answer answer = project(service, &options, 1777);

    if (!first->data) {
        *first = answer;
        answer = project(service, &options, 0);
    }
    for (size_t i = 0;; i++) {
        CHECK_EQ(answer.data_bytes, first->data_bytes);
        CHECK_MEM(answer.data, first->data, first->data_bytes);
        CHECK_EQ(answer.scale_bytes, first->scale_bytes);
        CHECK_MEM(answer.scales, first->scales, first->scale_bytes);
        CHECK(answer.has_report);
        same_report(&first->report, &answer.report);
        answer_free(&answer);
        if (i == 6)
            return;
        answer = project_stream(service, options, chunks[i / 2], cuts[i % 2]);
    }
}

CASE(
    same_bits,
    "replies and reports have the same bits for every ISA, thread count and cut, and when "
    "the loop computes")
{
    enum { MACHINES = 3 }; /* one worker, three, and the loop */
    static const enum trit_encoding encodings[] = {TRIT_ENCODING_DENSE,
                                                   TRIT_ENCODING_INT8};
    const struct kernels *tables[KERNELS_TABLES_MAX];
    size_t count = kernels_available(tables);

    random_weights(weights, ROWS * COLUMNS, check_seed());
    for (size_t e = 0; e < 2; e++) {
        struct answer first = {0};

        for (size_t i = 0; i < MACHINES * count; i++) {
            struct service_options options = service_defaults();
            struct service *service;

            options.isa = kernels_name(tables[i / MACHINES]);
            options.threads = i % MACHINES == 1 ? 3 : 1;
            options.inline_bytes_max = i % MACHINES == 2 ? SERVICES_INLINE_BYTES_MAX : 0;
            service = service_open(&options);
            every_cut(service, encodings[e], &first);
            service_close(service);
        }
        answer_free(&first);
    }
}

CASE(replies_before_the_end, "a stream's replies begin before its upload ends")
{
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    struct wire_project start = {.tensor = tensor_2d(TRIT_F32, 4096, 1024)};
    float *tensor = malloc(4096 * 1024 * sizeof(float));
    struct exchange exchange;
    struct request request;

    random_weights(tensor, 4096 * 1024, check_seed());
    request = ask_project_stream(&start, tensor, 4096 * 1024 * 4, 1 << 20);
    request.count -= 1 << 19;
    exchange_begin(service_connection(service), &exchange, project_stream_path, &request,
                   0, true, NULL);
    exchange_upload(&exchange);
    exchange_await(&exchange, 40);
    CHECK(!exchange.closed);
    exchange_cancel(&exchange);
    exchange_finish(&exchange);
    exchange_free(&exchange);
    request_free(&request);
    free(tensor);
    service_close(service);
}

CASE(no_report, "REPORT_DETAIL_NONE gives the tensor without a report")
{
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    const struct wire_project request = {.report = TRIT_REPORT_NONE};
    struct answer answer;

    random_weights(weights, ROWS * COLUMNS, 7);
    answer = project(service, &request, 0);
    CHECK(!answer.has_report);
    CHECK_EQ(answer.data_bytes, sizeof(weights));
    answer_free(&answer);
    answer = project_stream(service, request, 4096, 0);
    CHECK(!answer.has_report);
    CHECK_EQ(answer.data_bytes, sizeof(weights));
    answer_free(&answer);
    service_close(service);
}

CASE(side_by_side, "many calls on one connection run side by side")
{
    enum { CALLS = 24 };
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    const struct wire_project project_options = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    struct exchange exchanges[CALLS];
    struct request requests[CALLS];
    struct answer first = {0};

    random_weights(weights, ROWS * COLUMNS, check_seed());
    for (size_t i = 0; i < CALLS; i++) {
        requests[i] = ask_project(&project_options, &tensor, weights, sizeof(weights));
        exchange_begin(service_connection(service), &exchanges[i], project_path,
                       &requests[i], 0, false, NULL);
    }
    for (size_t i = 0; i < CALLS; i++) {
        struct answer answer;

        exchange_finish(&exchanges[i]);
        read_unary(&exchanges[i], &answer);
        if (i == 0) {
            first = answer;
            continue;
        }
        CHECK_MEM(answer.data, first.data, first.data_bytes);
        answer_free(&answer);
    }
    for (size_t i = 0; i < CALLS; i++) {
        exchange_free(&exchanges[i]);
        request_free(&requests[i]);
    }
    answer_free(&first);
    service_close(service);
}

CASE(reset_anywhere, "a call that is reset at any point releases all its memory")
{
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    const struct wire_project project_options = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    uint64_t seed = check_seed();

    random_weights(weights, ROWS * COLUMNS, 3);
    for (size_t i = 0; i < 50; i++) {
        struct request request =
            ask_project(&project_options, &tensor, weights, sizeof(weights));
        size_t whole = request.count;
        struct exchange exchange;

        request.count = check_random(&seed) % whole;
        exchange_begin(service_connection(service), &exchange, project_path, &request, 0,
                       true, NULL);
        exchange_upload(&exchange);
        exchange_cancel(&exchange);
        exchange_finish(&exchange);
        exchange_free(&exchange);
        request_free(&request);
    }
    service_close(service); /* checks the budget */
}

CASE(deadline, "a deadline ends a call during its upload")
{
    const struct service_options options = service_defaults();
    struct service *service = service_open(&options);
    const struct wire_project project_options = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    struct request request =
        ask_project(&project_options, &tensor, weights, sizeof(weights));
    struct exchange exchange;

    request.count /= 2;
    exchange_begin(service_connection(service), &exchange, project_path, &request, 0,
                   true, "20m");
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, TRIT_DEADLINE_EXCEEDED);
    exchange_free(&exchange);
    request_free(&request);
    service_close(service);
}

CASE(
    budget,
    "a tensor above the memory budget is refused, and the next call has the whole budget")
{
    struct service_options options = service_defaults();
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 1024, 4096);
    const struct wire_project project_options = {0};
    float *large = calloc(1024 * 4096, sizeof(float));
    struct service *service;
    struct request request;
    struct exchange exchange;
    struct answer answer;

    options.limits.memory_bytes_max = 16 << 20;
    service = service_open(&options);
    request = ask_project(&project_options, &tensor, large, 1024 * 4096 * 4);
    ask(service, &exchange, project_path, &request, 0);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(exchange.message, "memory_bytes_max = 16777216"));
    exchange_free(&exchange);
    service_wait_idle(service);
    answer = project(service, &project_options, 0);
    answer_free(&answer);
    free(large);
    service_close(service);
}
