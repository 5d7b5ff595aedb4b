/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick of bench_project.py: libtrit projects the same tensor from C.
 * Reads raw f32 from standard input, `rows` by `columns`; prints the seconds of
 * each call, one a line, after each line read from the descriptor 3. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "trit.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int project_once(struct trit_client *client, const struct trit_tensor *tensor)
{
    struct trit_project_options options = {.size = sizeof(options),
                                           .encoding = TRIT_ENCODING_PQ2_0};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    double began = now();

    if (trit_project(client, tensor, &options, &projection, &error) != TRIT_OK) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    printf("%.6f\n", now() - began);
    fflush(stdout);
    trit_projection_free(&projection);
    return 0;
}

int main(int argc, char **argv)
{
    struct trit_connect_options options = {.size = sizeof(options), .address = argv[1]};
    struct trit_tensor tensor = {.size = sizeof(tensor), .dtype = TRIT_F32, .rank = 2};
    struct trit_client *client;
    FILE *turns = fdopen(3, "r");
    char line[8];
    float *data;
    int rc = 0;

    if (argc != 4 || !turns)
        return 2;
    tensor.shape[0] = strtoull(argv[2], NULL, 10);
    tensor.shape[1] = strtoull(argv[3], NULL, 10);
    tensor.bytes = tensor.shape[0] * tensor.shape[1] * sizeof(*data);
    tensor.data = data = malloc(tensor.bytes);
    if (!data || fread(data, 1, tensor.bytes, stdin) != tensor.bytes ||
        trit_connect(&client, &options, NULL) != TRIT_OK)
        return 1;
    while (rc == 0 && fgets(line, sizeof(line), turns))
        rc = project_once(client, &tensor);
    trit_close(client);
    free(data);
    fclose(turns);
    return rc == 0 ? 0 : 1;
}
