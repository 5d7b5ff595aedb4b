/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Watch: what is filed, in order, and which layers have become stale. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "proto/codec/history.h"
#include "proto/scan.h"
#include "services/watches.h"
#include "tests/lib/asks.h"
#include "tests/lib/broken_reads.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_fixture.h"

static const char path[] = "/trit.v1.Reports/Watch";
static const int64_t second = 1000000000;

static struct service *service;

static void open_service(void)
{
    const struct service_options options = service_defaults();

    service = service_open(&options);
}

static void file(const char *run, const char *layer, uint64_t step, int64_t age_ns)
{
    struct trit_report report;

    fixture_report(&report, run, layer, step, (unsigned)step, 4, 128, 128);
    report.time_unix_ns = clock_unix_ns() - age_ns;
    service_put(service, &report);
}

static struct request ask_watch(const char *run, const char *cursor)
{
    struct wire_reports_watch wire = {0};
    struct request request = {0};
    uint8_t head[1024];

    snprintf(wire.run, sizeof(wire.run), "%s", run);
    snprintf(wire.cursor, sizeof(wire.cursor), "%s", cursor);
    request_message(&request, head, encode_reports_watch(&wire, head, sizeof(head)), NULL,
                    0);
    return request;
}

static void begin(struct exchange *exchange, const char *run, const char *cursor)
{
    struct request request = ask_watch(run, cursor);

    exchange_begin(service_connection(service), exchange, path, &request, 0, false, NULL);
    exchange_upload(exchange);
    request_free(&request);
}

static bool responded(void *arg)
{
    const struct exchange *exchange = arg;

    connection_pump(exchange->connection);
    return exchange->fields[0] || exchange->closed;
}

/* A message as "LAYER/STEP CURSOR", with a ! if the report says that its layer is stale. */
static const char *told(struct exchange *exchange, size_t index)
{
    static char text[512];
    char cursor[WATCH_CURSOR_BYTES_MAX + 1], error[CODEC_ERROR_BYTES];
    struct trit_report report;
    struct scan scanner;
    struct scanned found;
    size_t count;

    exchange_await(exchange, index);
    const uint8_t *bytes = exchange_message(exchange, index, &count);

    CHECK(bytes);
    scan_init(&scanner, scan_plain, count);
    CHECK_EQ(scan(&scanner, &bytes, &count, &found), SCAN_MORE);
    CHECK_EQ(decode_watched(&scanner.parts[PART_ROOT], &report, cursor, error), 0);
    scan_fini(&scanner);
    CHECK(report.has_stored && report.stored);
    const bool stale = report.health_reason_count > 0 &&
                       strcmp(report.health_reasons[0].rule, "stale") == 0;

    snprintf(text, sizeof(text), "%s/%" PRIu64 "%s %s", report.layer, report.step,
             stale ? "!" : "", cursor);
    return text;
}

static void end(struct exchange *exchange)
{
    exchange_cancel(exchange);
    exchange_free(exchange);
    service_wait_idle(service);
    CHECK_EQ(metric_get(service_metrics(service), M_REPORT_WATCHES), 0);
    service_close(service);
}

CASE(filed, "a watch tells what is filed after it began, of its run")
{
    struct exchange exchange;

    open_service();
    file("r", "a", 1, 0);
    begin(&exchange, "r", "");
    loop_run_until(service_loop(service), responded, &exchange);
    CHECK(strstr(exchange.fields, "trit-cursor: 1@"));
    CHECK_EQ(metric_get(service_metrics(service), M_REPORT_WATCHES), 1);
    file("other", "a", 2, 0);
    file("r", "a", 2, 0);
    CHECK_STR(told(&exchange, 0), "a/2 3");
    file("r", "b", 3, 0);
    CHECK_STR(told(&exchange, 1), "b/3 4");
    end(&exchange);
}

CASE(many, "more reports than a batch holds come in order, each once")
{
    enum { COUNT = 200 };
    struct exchange exchange;
    char wanted[64];

    open_service();
    for (uint64_t step = 1; step <= COUNT; step++)
        file("r", "a", step, 0);
    begin(&exchange, "", "0");
    for (uint64_t step = 1; step <= COUNT; step++) {
        snprintf(wanted, sizeof(wanted), "a/%" PRIu64 " %" PRIu64, step, step);
        CHECK_STR(told(&exchange, step - 1), wanted);
    }
    CHECK(strstr(exchange.fields, "trit-cursor: 0\n"));
    end(&exchange);
}

CASE(other_store, "a cursor beyond the newest report is of another store: all are told")
{
    struct exchange exchange;

    open_service();
    file("r", "a", 1, 0);
    begin(&exchange, "r", "12");
    CHECK_STR(told(&exchange, 0), "a/1 1");
    CHECK(strstr(exchange.fields, "trit-cursor: 0\n"));
    end(&exchange);
}

/* Two layers that reported a second after another, ten minutes ago, and one that did so
 * within the last minute. */
static void file_stale(void)
{
    file("r", "a", 1, 601 * second);
    file("r", "a", 2, 600 * second);
    file("r", "b", 1, 601 * second);
    file("r", "b", 2, 600 * second);
    file("r", "c", 1, second);
    file("r", "c", 2, 0);
}

CASE(stale, "a watch with a cursor is told which layers became stale since, each once")
{
    struct exchange exchange;

    open_service();
    file_stale();
    begin(&exchange, "r", "6@1");
    CHECK(strncmp(told(&exchange, 0), "a/2! 6@1", 8) == 0);
    CHECK(strncmp(told(&exchange, 1), "b/2! 6@", 7) == 0);
    CHECK(strlen(told(&exchange, 1)) > 20);
    watches_stale(service_services(service));
    file("r", "c", 3, 0);
    CHECK_STR(told(&exchange, 2), "c/3 7");
    end(&exchange);
}

CASE(stale_later, "what becomes stale while a watch is open is told when it is noticed")
{
    struct exchange exchange;
    size_t count;

    open_service();
    file_stale();
    begin(&exchange, "r", "");
    loop_run_until(service_loop(service), responded, &exchange);
    /* Stale in a tenth of a second. */
    file("r", "d", 1, 60 * second - second / 10);
    file("r", "d", 2, 60 * second - second / 10);
    CHECK_STR(told(&exchange, 1), "d/2 8");
    while (!exchange_message(&exchange, 2, &count)) {
        watches_stale(service_services(service));
        service_turn(service);
        connection_pump(exchange.connection);
    }
    CHECK(strncmp(told(&exchange, 2), "d/2! 8@", 7) == 0);
    end(&exchange);
}

CASE(stale_many, "more stale layers than a batch holds are told, each once")
{
    enum { COUNT = 150 };
    struct exchange exchange;
    char layer[16], wanted[24];

    open_service();
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(layer, sizeof(layer), "l%03u", i);
        file("r", layer, 1, 601 * second);
        file("r", layer, 2, 600 * second);
    }
    begin(&exchange, "r", "300@1");
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(wanted, sizeof(wanted), "l%03u/2! 300@", i);
        CHECK(strncmp(told(&exchange, i), wanted, strlen(wanted)) == 0);
    }
    file("r", "l", 1, 0);
    CHECK_STR(told(&exchange, COUNT), "l/1 301");
    end(&exchange);
}

CASE(unreadable, "a watch ends with the store's failure")
{
    static const enum broken_read kinds[] = {BROKEN_SEQUENCE, BROKEN_SINCE, BROKEN_STALE};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct exchange exchange;

        open_service();
        file("r", "a", 1, 0);
        broken_reads(kinds[i]);
        begin(&exchange, "r", "0");
        exchange_finish(&exchange);
        broken_reads(BROKEN_NONE);
        CHECK_EQ(exchange.status, TRIT_DATA_LOSS);
        exchange_free(&exchange);
        CHECK_EQ(metric_get(service_metrics(service), M_REPORT_WATCHES), 0);
        service_close(service);
    }
}

CASE(cursors, "a cursor that no daemon gave is refused")
{
    static const char *const cursors[] = {"x",
                                          "1@",
                                          "@1",
                                          "1@x",
                                          "1@2@3",
                                          "-1",
                                          " 1",
                                          "99999999999999999999",
                                          "1@99999999999999999999"};

    open_service();
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        struct exchange exchange;

        begin(&exchange, "r", cursors[i]);
        exchange_finish(&exchange);
        CHECK_EQ(exchange.status, TRIT_INVALID_ARGUMENT);
        CHECK(strstr(exchange.message, "cursor"));
        exchange_free(&exchange);
    }
    service_close(service);
}

CASE(memory, "whichever allocation fails, a watch tells all or ends, and nothing is left")
{
    bool hit = true;

    for (uint64_t nth = 1; hit && nth < 5000; nth += 1 + nth / 12) {
        struct request request = ask_watch("r", "0");
        struct exchange exchange;
        size_t count;

        open_service();
        file("r", "a", 1, 601 * second);
        file("r", "a", 2, 600 * second);
        exchange_begin(service_connection(service), &exchange, path, &request, 0, false,
                       NULL);
        fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
        while (!exchange.closed && !service_broken(service) &&
               !exchange_message(&exchange, 2, &count)) {
            service_turn(service);
            connection_pump(exchange.connection);
        }
        hit = fault_disarm();
        CHECK(hit || exchange_message(&exchange, 2, &count));
        if (!exchange.closed && !service_broken(service))
            exchange_cancel(&exchange);
        exchange_free(&exchange);
        request_free(&request);
        service_close(service);
    }
    CHECK(!hit);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
