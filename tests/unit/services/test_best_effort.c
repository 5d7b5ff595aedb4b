/* SPDX-License-Identifier: Apache-2.0 */
/* BEST_EFFORT while the disk hangs: answers go, and reports are stored later. */
#include <string.h>

#include "proto/scan.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/late_store.h"

enum { ROWS = 4, COLUMNS = 128 };

static float weights[ROWS * COLUMNS];
static struct service *service;

static void open_service(uint64_t best_effort_ms)
{
    struct service_options options = service_defaults();

    options.limits.best_effort_ms = best_effort_ms;
    service = service_open(&options);
    random_weights(weights, ROWS * COLUMNS, 7);
}

/* The only message of a reply, which is { report = 1 }. */
static void read_report(const struct exchange *exchange, struct trit_report *report)
{
    char error[CODEC_ERROR_BYTES];
    struct scan scanner;
    struct scanned found;
    size_t count;
    const uint8_t *bytes = exchange_message(exchange, 0, &count);

    CHECK(bytes);
    scan_init(&scanner, scan_plain, count);
    CHECK_EQ(scan(&scanner, &bytes, &count, &found), SCAN_MORE);
    CHECK_EQ(decode_verified(&scanner.parts[PART_ROOT], report, error), 0);
    scan_fini(&scanner);
}

static enum trit_status verify(uint64_t step, struct trit_report *report)
{
    const struct wire_verify wire = {.mode = TRIT_VERIFY_LATENT,
                                     .durability = TRIT_BEST_EFFORT,
                                     .layer = layer_ref("run", "layer", step)};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    struct request request =
        ask_verify(&wire, NULL, NULL, &tensor, weights, sizeof(weights));
    struct exchange exchange;
    enum trit_status status;

    ask(service, &exchange, verify_path, &request, 0);
    status = (enum trit_status)exchange.status;
    if (status == TRIT_OK)
        read_report(&exchange, report);
    exchange_free(&exchange);
    return status;
}

static enum trit_status get(uint64_t step, struct trit_report *report)
{
    const struct wire_reports_get wire = {
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
        read_report(&exchange, report);
    exchange_free(&exchange);
    return status;
}

CASE(late, "an answer does not wait for a commit that hangs, nor does the next one")
{
    struct trit_report report;

    open_service(1);
    late_store_hold();
    for (uint64_t step = 1; step <= 3; step++) {
        CHECK_EQ(verify(step, &report), TRIT_OK);
        CHECK(report.has_stored && !report.stored);
        CHECK_EQ(report.elements, ROWS * COLUMNS);
        CHECK_EQ(late_store_waiting(), step);
        CHECK_EQ(get(step, &report), TRIT_NOT_FOUND);
    }
    late_store_release();
    service_wait_idle(service);
    for (uint64_t step = 1; step <= 3; step++) {
        CHECK_EQ(get(step, &report), TRIT_OK);
        CHECK_EQ(report.elements, ROWS * COLUMNS);
    }
    service_close(service);
}

CASE(waits, "while no commit is late, an answer waits for its report")
{
    struct trit_report report;

    open_service(1000 * 3600);
    CHECK_EQ(verify(1, &report), TRIT_OK);
    CHECK(report.has_stored && report.stored);
    CHECK_EQ(report.attempt, 1);
    service_close(service);
}
