/* SPDX-License-Identifier: Apache-2.0 */
/* Calls with a layer: filed before they are answered, found again, compared. */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/framing.h"
#include "proto/scan.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { ROWS = 6, COLUMNS = 300 };

static float weights[ROWS * COLUMNS];
static struct service *service;

static void open_service(void)
{
    const struct service_options options = service_defaults();

    service = service_open(&options);
    random_weights(weights, ROWS * COLUMNS, 42);
}

static int verified(const struct exchange *exchange, struct trit_report *report)
{
    char error[CODEC_ERROR_BYTES];
    const uint8_t *bytes;
    struct scan scanner;
    struct scanned found;
    size_t count;
    int result;

    bytes = exchange_message(exchange, 0, &count);
    if (!bytes)
        return -1;
    scan_init(&scanner, scan_plain, count);
    CHECK_EQ(scan(&scanner, &bytes, &count, &found), SCAN_MORE);
    result = decode_verified(&scanner.parts[PART_ROOT], report, error);
    scan_fini(&scanner);
    return result;
}

static enum trit_status verify_latents(uint64_t step, struct trit_report *report)
{
    const struct wire_verify verify = {.mode = TRIT_VERIFY_LATENT,
                                       .layer = layer_ref("run", "layer", step)};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    struct request request =
        ask_verify(&verify, NULL, NULL, &tensor, weights, sizeof(weights));
    struct exchange exchange;
    enum trit_status status;

    ask(service, &exchange, verify_path, &request, 0);
    status = (enum trit_status)exchange.status;
    if (status == TRIT_OK)
        CHECK(verified(&exchange, report) == 0);
    exchange_free(&exchange);
    return status;
}

static enum trit_status get(uint64_t step, struct trit_report *report)
{
    struct wire_reports_get wire = {
        .run = "run", .layer = "layer", .has_step = true, .step = step};
    struct request request = {0};
    struct exchange exchange;
    enum trit_status status;
    uint8_t head[1024];

    request_message(&request, head, encode_reports_get(&wire, head, sizeof(head)), NULL,
                    0);
    ask(service, &exchange, "/trit.v1.Reports/Get", &request, 0);
    status = (enum trit_status)exchange.status;
    if (status == TRIT_OK)
        CHECK(verified(&exchange, report) == 0); /* both replies are { report = 1 } */
    exchange_free(&exchange);
    return status;
}

CASE(stored_and_found, "a report is stored before the reply, and found again")
{
    struct trit_report answered, found;

    open_service();
    CHECK_EQ(get(1, &found), TRIT_NOT_FOUND);
    CHECK_EQ(verify_latents(1, &answered), TRIT_OK);
    CHECK_EQ(get(1, &found), TRIT_OK);
    CHECK_STR(found.run, "run");
    CHECK_EQ(found.elements, ROWS * COLUMNS);
    CHECK_MEM(found.digest, answered.digest, TRIT_DIGEST_BYTES);
    CHECK_EQ(found.time_unix_ns, answered.time_unix_ns);
    service_close(service);
}

CASE(stored_twice, "a second report under a key is accepted only if its digest is equal")
{
    struct trit_report first, second;

    open_service();
    CHECK_EQ(verify_latents(1, &first), TRIT_OK);
    CHECK_EQ(verify_latents(1, &second), TRIT_OK);
    CHECK_EQ(second.time_unix_ns, first.time_unix_ns);
    weights[17] = -weights[17] * 3;
    CHECK_EQ(verify_latents(1, &second), TRIT_ALREADY_EXISTS);
    service_close(service);
}

CASE(flips, "flips are counted against the previous step")
{
    struct trit_report first, second;

    open_service();
    weights[5] = 2;
    weights[6] = 2;
    CHECK_EQ(verify_latents(10, &first), TRIT_OK);
    CHECK(!first.has_previous);
    weights[5] = -2;
    weights[6] = -2;
    CHECK_EQ(verify_latents(20, &second), TRIT_OK);
    CHECK(second.has_previous);
    CHECK_EQ(second.previous_step, 10);
    CHECK_EQ(second.flips, 2);
    CHECK_EQ(second.transitions[3 * 2 + 0], 2); /* from +1 to -1 */
    CHECK_EQ(second.transitions[4], first.zeros);
    service_close(service);
}

/* Projecting files the same digest as verifying what it wrote. */
CASE(digests_agree, "projecting and verifying the result give the same digest")
{
    static const enum trit_dtype dtypes[] = {TRIT_F32, TRIT_BF16, TRIT_F16};
    const struct wire_verify plain = {0};

    open_service();
    for (size_t d = 0; d < 3; d++) {
        uint8_t latents[sizeof(weights)], dense[sizeof(weights)];
        struct wire_tensor tensor = tensor_2d(dtypes[d], ROWS, COLUMNS);
        size_t width = dtype_bytes(dtypes[d]), bytes = ROWS * COLUMNS * width;
        const struct wire_verify latent = {.mode = TRIT_VERIFY_LATENT};
        const struct wire_project project = {0};
        struct trit_report by_latents, by_dense;
        struct exchange exchange;
        struct request request;
        const uint8_t *reply;
        size_t count;

        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            uint16_t half =
                dtypes[d] == TRIT_F16 ? f32_to_f16(weights[i]) : f32_to_bf16(weights[i]);

            memcpy(latents + i * width, width == 4 ? (void *)&weights[i] : (void *)&half,
                   width);
        }
        request = ask_verify(&latent, NULL, NULL, &tensor, latents, bytes);
        ask(service, &exchange, verify_path, &request, 0);
        CHECK(verified(&exchange, &by_latents) == 0);
        exchange_free(&exchange);
        request = ask_project(&project, &tensor, latents, bytes);
        ask(service, &exchange, project_path, &request, 0);
        reply = exchange_message(&exchange, 0, &count);
        CHECK(reply && count > bytes);
        memcpy(dense, reply + count - bytes, bytes); /* data is the last field */
        exchange_free(&exchange);
        request = ask_verify(&plain, NULL, NULL, &tensor, dense, bytes);
        ask(service, &exchange, verify_path, &request, 0);
        CHECK(verified(&exchange, &by_dense) == 0);
        CHECK(by_dense.is_ternary);
        CHECK_MEM(by_dense.digest, by_latents.digest, TRIT_DIGEST_BYTES);
        exchange_free(&exchange);
    }
    service_close(service);
}

CASE(against_reference,
     "a verification against latents finds each difference from their projection")
{
    const struct wire_project project = {0};
    const struct wire_verify plain = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    float dense[ROWS * COLUMNS];
    struct trit_report report;
    struct exchange exchange;
    struct request request;
    const uint8_t *reply;
    size_t count;

    open_service();
    request = ask_project(&project, &tensor, weights, sizeof(weights));
    ask(service, &exchange, project_path, &request, 0);
    reply = exchange_message(&exchange, 0, &count);
    memcpy(dense, reply + count - sizeof(dense), sizeof(dense));
    exchange_free(&exchange);
    request = ask_verify(&plain, &tensor, weights, &tensor, dense, sizeof(weights));
    ask(service, &exchange, verify_path, &request, 777);
    CHECK(verified(&exchange, &report) == 0);
    CHECK(report.is_ternary && report.has_reference && report.has_mse);
    CHECK_EQ(report.reference_mismatches, 0);
    CHECK(report.mse > 0 && report.cosine > 0.5);
    exchange_free(&exchange);
    dense[1000] = dense[1000] > 0 ? 0 : 5;
    request = ask_verify(&plain, &tensor, weights, &tensor, dense, sizeof(weights));
    ask(service, &exchange, verify_path, &request, 0);
    CHECK(verified(&exchange, &report) == 0);
    CHECK(report.reference_mismatches >= 1);
    exchange_free(&exchange);
    service_close(service);
}

/* Each allocation fails once, from the first to past the last: the call ends
 * with a status or with its connection, and the service is closed with every
 * byte of its budget back. */
CASE(failing_memory, "whichever allocation fails, calls end and nothing is left behind")
{
    const struct wire_project project = {.layer = layer_ref("run", "layer", 1)};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    uint64_t failed = 0;

    for (uint64_t n = 1; n < 2000; n++) {
        struct exchange exchange;
        struct request request;
        bool hit;

        open_service();
        request = ask_project(&project, &tensor, weights, sizeof(weights));
        exchange_begin(service_connection(service), &exchange, project_path, &request, 0,
                       false, NULL);
        fault_arm(FAULT_MEMORY | FAULT_MAP, n, FAULT_ONCE);
        exchange_finish(&exchange);
        hit = fault_disarm();
        CHECK(service_broken(service) || exchange.status >= 0 || exchange.closed);
        failed += hit && exchange.status != 0;
        exchange_free(&exchange);
        request_free(&request);
        service_close(service);
        if (!hit) {
            CHECK_EQ(exchange.status, 0);
            CHECK(failed > 3);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "more allocations than one call can need");
}
