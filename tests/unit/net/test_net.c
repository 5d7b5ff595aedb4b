#include "tests/unit/net/fixture.h"

static void serves_on(const char *address)
{
    const struct limits limits = limits_default();
    struct bench *bench = bench_create(&limits);
    struct inbox inbox;

    bench_listen(bench, address);
    inbox_init(&inbox, bench, client_connect(bench));
    client_greet(inbox.fd);
    client_request(inbox.fd, 1);
    loop_run_until(bench->loop, inbox_has_trailers, &inbox);
    CHECK_EQ(bench->requests, 1);
    CHECK_EQ(bench->closed, 1);
    CHECK_EQ(metric_get(bench->metrics, M_CONNECTIONS), 1);
    CHECK_EQ(metric_get(bench->metrics, M_SENT_BYTES), inbox.count);
    inbox_fini(&inbox);
    bench_destroy(bench);
}

static void serves_tcp(void)
{
    serves_on("127.0.0.1:0");
}

static void serves_unix(void)
{
    char address[64];

    snprintf(address, sizeof(address), "unix:/tmp/tritd-net-%d.sock", (int)getpid());
    serves_on(address);
    CHECK(access(address + 5, F_OK) != 0); /* gone with its listener */
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a request over TCP is answered", serves_tcp},
        {"a request over a Unix socket is answered, and the socket's file removed",
         serves_unix},
    };
    return CHECK_RUN(cases, argc, argv);
}
