/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Forward of 4096 x 4096 weights by libtrit against its kernel on as many threads.
 * Rounds of both alternate, so that other load meets both.
 *
 *   bench_forward ADDRESS WAY [ADDRESS WAY]...
 *
 * WAY names the transport in words, such as "TCP".
 * The daemon has as many threads as the kernel here. Prints one JSON object a line: the median
 * of the rounds' ratios, with quartiles. A second row says what a call allows: the kernel and,
 * over the same connection, a call that has as many bytes and computes next to nothing, a dense
 * projection of x. */
#include <trit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear/linear.h"
#include "tests/bench/rows.h"

enum { SIZE = 4096, GROUP = 128, BATCH_MAX = 64, THREADS = 2, ROUNDS = 21 };

static const double round_seconds = 0.05;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_forward: %s: %s\n", what, why);
    exit(1);
}

struct bench {
    struct trit_client *client;
    const char *way;
    const struct kernels *kernels;
    struct linear_matrix matrix;
    float *x, *y;
    int8_t *q;
    int32_t *sums;
    float absmax[BATCH_MAX];
    uint64_t batch;
    bool int8;
    pthread_barrier_t begin, end;
    bool over;
};

/* ---- the kernel ------------------------------------------------------------------------ */

static void multiply(struct bench *b, uint64_t first)
{
    if (b->int8)
        linear_forward_int8(b->kernels, &b->matrix, b->q, b->sums, b->absmax, b->batch,
                            NULL, first, SIZE / THREADS, b->y);
    else
        linear_forward(b->kernels, &b->matrix, b->x, b->batch, NULL, first,
                       SIZE / THREADS, b->y);
}

static void *help(void *arg)
{
    struct bench *b = arg;
    struct kernels_env env;

    kernels_enter(&env);
    for (;;) {
        pthread_barrier_wait(&b->begin);
        if (b->over)
            return NULL;
        multiply(b, SIZE / THREADS);
        pthread_barrier_wait(&b->end);
    }
}

/* With int8 the activations are quantized, as the daemon does for each call. */
static void kernel(struct bench *b)
{
    for (uint64_t row = 0; b->int8 && row < b->batch; row++)
        linear_quantize(b->kernels, &b->matrix, b->x + row * SIZE,
                        b->q + row * linear_quantized(SIZE),
                        b->sums + row * (SIZE / GROUP), &b->absmax[row]);
    pthread_barrier_wait(&b->begin);
    multiply(b, 0);
    pthread_barrier_wait(&b->end);
}

/* ---- the daemon ------------------------------------------------------------------------ */

static void call(struct bench *b)
{
    struct trit_tensor x = {.size = sizeof(x),
                            .dtype = TRIT_F32,
                            .rank = 2,
                            .shape = {b->batch, SIZE},
                            .data = b->x,
                            .bytes = b->batch * SIZE * sizeof(float)};
    struct trit_forward_options options = TRIT_FORWARD_OPTIONS_INIT;
    struct trit_forward forward = TRIT_FORWARD_INIT;
    struct trit_array y = TRIT_ARRAY_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    options.activations = b->int8 ? TRIT_ACTIVATIONS_INT8 : TRIT_ACTIVATIONS_F32;
    forward.y = &y;
    if (trit_layer_forward(b->client, "forward", &x, &options, &forward, &error) !=
        TRIT_OK)
        die("trit_layer_forward", error.message);
    trit_array_free(&y);
}

/* As many bytes to the daemon and back as a product has, by the same way: the socket, or for long
 * ones on a Unix socket shared memory. */
static void empty_call(struct bench *b)
{
    const struct trit_tensor x = {.size = sizeof(x),
                                  .dtype = TRIT_F32,
                                  .rank = 2,
                                  .shape = {b->batch, SIZE},
                                  .data = b->x,
                                  .bytes = b->batch * SIZE * sizeof(float)};
    const struct trit_project_options options = {.size = sizeof(options),
                                                 .encoding = TRIT_ENCODING_DENSE,
                                                 .report = TRIT_REPORT_NONE};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    if (trit_project(b->client, &x, &options, &projection, &error) != TRIT_OK)
        die("trit_project", error.message);
    trit_projection_free(&projection);
}

/* ---- both -------------------------------------------------------------------------------- */

static double seconds_each(struct bench *b, void (*run)(struct bench *))
{
    const double begun = seconds_now();
    double spent;
    int count = 0;

    do {
        run(b);
        count++;
    } while ((spent = seconds_now() - begun) < round_seconds);
    return spent / count;
}

static void print(const struct bench *b, const char *what, const struct samples *ratios,
                  struct goal goal, const char *against)
{
    char name[160];

    snprintf(
        name, sizeof(name),
        "%sLayers.Forward 4096 x 4096, batch %d, %s, over %s, of its kernel, %d threads",
        what, (int)b->batch, b->int8 ? "int8" : "f32", b->way, (int)THREADS);
    row_print(stdout, name, ratios, "ratio", goal, against);
}

static void measure(struct bench *b, uint64_t batch, bool int8, double goal)
{
    struct samples ratios = {.count = 0}, bounds = {.count = 0};
    struct samples kernels = {.count = 0}, calls = {.count = 0};
    char against[64];

    b->batch = batch;
    b->int8 = int8;
    call(b);
    empty_call(b);
    kernel(b);
    for (int i = 0; i < ROUNDS; i++) {
        const double alone = seconds_each(b, kernel);

        samples_add(&kernels, alone);
        samples_add(&ratios, seconds_each(b, call) / alone);
        const double empty = seconds_each(b, empty_call);

        samples_add(&calls, empty);
        samples_add(&bounds, (alone + empty) / alone);
    }
    snprintf(against, sizeof(against), "%.3f ms", samples_median(&kernels) * 1e3);
    print(b, "", &ratios, at_most(goal), against);
    snprintf(against, sizeof(against), "a call of as many bytes: %.3f ms",
             samples_median(&calls) * 1e3);
    print(b, "what a call allows: ", &bounds, no_goal(), against);
}

static void *memory(size_t bytes)
{
    void *made = aligned_alloc(64, (bytes + 63) / 64 * 64);

    if (!made)
        die("memory", "none");
    memset(made, 0, bytes);
    return made;
}

/* Its weights differ from the daemon's; the work is the same. */
static void fill(struct bench *b)
{
    const uint64_t weights = (uint64_t)SIZE * SIZE;
    uint8_t *sequence = memory(weights / 4),
            *codes = memory(linear_code_bytes(SIZE, SIZE));
    float *scales = memory(weights / GROUP * sizeof(*scales));
    uint64_t state = 1;

    for (uint64_t i = 0; i < weights; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        sequence[i / 4] |= (uint8_t)((state >> 33) % 3 << i % 4 * 2);
    }
    for (uint64_t i = 0; i < weights / GROUP; i++)
        scales[i] = 0.01f + 1e-6f * (float)(i % 1000);
    linear_pack(SIZE, GROUP, sequence, 0, SIZE, codes);
    free(sequence);
    b->kernels = kernels_select(NULL);
    b->matrix = (struct linear_matrix){SIZE, SIZE, GROUP, codes, scales};
    b->x = memory((size_t)BATCH_MAX * SIZE * sizeof(float));
    b->y = memory((size_t)BATCH_MAX * SIZE * sizeof(float));
    b->q = memory(BATCH_MAX * linear_quantized(SIZE));
    b->sums = memory(BATCH_MAX * (SIZE / GROUP) * sizeof(int32_t));
    linear_draw(1, 1.0, 0, (uint64_t)BATCH_MAX * SIZE, b->x);
}

static void connect_to(struct bench *b, const char *address, bool create)
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    struct trit_layer_spec spec = TRIT_LAYER_SPEC_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    options.address = address;
    snprintf(spec.name, sizeof(spec.name), "forward");
    spec.kind = TRIT_LAYER_LINEAR;
    spec.in_features = spec.out_features = SIZE;
    if (trit_connect(&b->client, &options, &error) != TRIT_OK ||
        (create && trit_layer_create(b->client, &spec, 1, NULL, NULL, &error) != TRIT_OK))
        die(address, error.message);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct kernels_env env;
    pthread_t helper;

    if (argc < 3 || argc % 2 == 0)
        die("usage", "bench_forward ADDRESS WAY [ADDRESS WAY]...");
    kernels_enter(&env);
    fill(&b);
    pthread_barrier_init(&b.begin, NULL, THREADS);
    pthread_barrier_init(&b.end, NULL, THREADS);
    if (pthread_create(&helper, NULL, help, &b) != 0)
        die("thread", "none");
    for (int i = 1; i + 1 < argc; i += 2) {
        connect_to(&b, argv[i], i == 1);
        b.way = argv[i + 1];
        measure(&b, 64, false, 1.2);
        measure(&b, 64, true, 1.4);
        measure(&b, 1, false, 1.25);
        measure(&b, 1, true, 1.5);
        trit_close(b.client);
    }
    b.over = true;
    pthread_barrier_wait(&b.begin);
    pthread_join(helper, NULL);
    return 0;
}
