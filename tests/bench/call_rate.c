/* SPDX-License-Identifier: Apache-2.0 */
/* Projections of 1 MiB of f32 to pq2_0 by libtrit, one after the other on each connection:
 *
 *   call_rate ADDRESS CONNECTIONS CALLS
 *
 * Prints the seconds that one of CALLS takes. The server may be any that has Ternary.Project. */
#include <trit.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/rows.h"

enum { ROWS = 64, ROW_ELEMENTS = 4096, CONNECTIONS_MAX = 8 };

static float values[ROWS * ROW_ELEMENTS];

struct load {
    const char *address;
    _Atomic long calls; /* still to be made */
};

static void die(const char *what, const struct trit_error *error)
{
    fprintf(stderr, "call_rate: %s: %s\n", what, error->message);
    exit(1);
}

static void *call(void *arg)
{
    struct load *load = arg;
    const struct trit_connect_options connect = {.size = sizeof(connect),
                                                 .address = load->address,
                                                 .stream_bytes_min = UINT64_MAX};
    const struct trit_tensor tensor = {.size = sizeof(tensor),
                                       .dtype = TRIT_F32,
                                       .rank = 2,
                                       .shape = {ROWS, ROW_ELEMENTS},
                                       .data = values,
                                       .bytes = sizeof(values)};
    const struct trit_project_options options = {.size = sizeof(options),
                                                 .encoding = TRIT_ENCODING_PQ2_0,
                                                 .report = TRIT_REPORT_NONE};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;

    if (trit_connect(&client, &connect, &error) != TRIT_OK)
        die("connect", &error);
    while (atomic_fetch_sub(&load->calls, 1) > 0) {
        struct trit_projection projection = TRIT_PROJECTION_INIT;

        if (trit_project(client, &tensor, &options, &projection, &error) != TRIT_OK)
            die("project", &error);
        trit_projection_free(&projection);
    }
    trit_close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    const long connections = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    const long calls = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    struct load load = {.address = argv[1], .calls = calls};
    pthread_t threads[CONNECTIONS_MAX];

    if (connections < 1 || connections > CONNECTIONS_MAX || calls < 1) {
        fprintf(stderr, "usage: call_rate ADDRESS CONNECTIONS CALLS\n");
        return 2;
    }
    srand(1);
    for (size_t i = 0; i < ROWS * ROW_ELEMENTS; i++)
        values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    const double begun = seconds_now();

    for (long i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, call, &load) != 0)
            return 1;
    for (long i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    printf("%.9f\n", (seconds_now() - begun) / (double)calls);
    return 0;
}
