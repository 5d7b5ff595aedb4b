/* Tensors with one scale: held whole, in memory that grows as they come; what is
 * computed is checked by tests/e2e/test_packed.py. */
#include <stdlib.h>

#include "tests/lib/fault.h"
#include "tests/unit/rpc/asks.h"

enum { ROWS = 1024, COLUMNS = 384, BYTES = ROWS * COLUMNS * 4 };

static float weights[ROWS * COLUMNS];
static struct service *service;

static void open_service(uint64_t memory_bytes_max)
{
    struct service_options options = service_defaults();

    if (memory_bytes_max)
        options.limits.memory_bytes_max = memory_bytes_max;
    service = service_open(&options);
    random_weights(weights, ROWS * COLUMNS, 1);
}

static struct request ask_whole(uint64_t rows)
{
    struct wire_project project = {.encoding = TRIT_ENCODING_I2_S,
                                   .report = TRIT_REPORT_NONE};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, rows, COLUMNS);

    return ask_project(&project, &tensor, weights, (size_t)rows * COLUMNS * 4);
}

static void cut_anywhere(void)
{
    static const size_t cuts[] = {0, 1000, 65537};
    struct exchange exchanges[3];

    open_service(0);
    for (size_t i = 0; i < 3; i++) {
        struct request request = ask_whole(ROWS);

        ask(service, &exchanges[i], project_path, &request, cuts[i]);
        CHECK_EQ(exchanges[i].status, 0);
        CHECK(exchanges[i].body_count > BYTES / 16 + 32);
        CHECK_EQ(exchanges[i].body_count, exchanges[0].body_count);
        CHECK_MEM(exchanges[i].body, exchanges[0].body, exchanges[0].body_count);
    }
    for (size_t i = 0; i < 3; i++)
        exchange_free(&exchanges[i]);
    service_close(service);
}

/* A length alone reserves nothing: a tensor above the budget is refused once so much of
 * it has come, and until then takes no other call's memory. */
static void grows_as_it_comes(void)
{
    struct request whole, part, small;
    struct exchange first, other;

    open_service(BYTES);
    whole = ask_whole(ROWS);
    small = ask_whole(ROWS / 8);
    part = whole;
    part.count = 100000;
    exchange_start(service, &first, project_path, &part, 0, true, NULL);
    exchange_upload(&first);
    ask(service, &other, project_path, &small, 0);
    CHECK_EQ(other.status, 0);
    exchange_free(&other);
    exchange_reset(&first);
    service_settle(service);
    exchange_free(&first);
    ask(service, &first, project_path, &whole, 0);
    CHECK_EQ(first.status, TRIT_RESOURCE_EXHAUSTED);
    exchange_free(&first);
    service_close(service);
}

static void memory_fails(void)
{
    for (uint64_t n = 1; n < 2000; n++) {
        struct exchange exchange;
        struct request request;
        bool hit;

        open_service(0);
        request = ask_whole(ROWS);
        exchange_start(service, &exchange, project_path, &request, 0, false, NULL);
        fault_arm(FAULT_MEMORY | FAULT_MAP, n, FAULT_ONCE);
        exchange_finish(&exchange);
        hit = fault_disarm();
        CHECK(service_broken(service) || exchange.status >= 0 || exchange.closed);
        exchange_free(&exchange);
        request_free(&request);
        service_close(service);
        if (!hit) {
            CHECK_EQ(exchange.status, 0);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "more allocations than one call can need");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a tensor with one scale gives the same bytes however it is cut", cut_anywhere},
        {"its memory grows as it comes, up to the budget", grows_as_it_comes},
        {"whichever allocation fails, the call ends and nothing is left", memory_fails},
    };

    return CHECK_RUN(cases, argc, argv);
}
