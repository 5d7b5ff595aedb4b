/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/layers_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

int layers_fixture_reopen(struct fixture *fixture)
{
    const struct layers_config config = {.directory =
                                             fixture->folder[0] ? fixture->folder : NULL,
                                         .budget = &fixture->budget,
                                         .metrics = fixture->metrics};

    layers_close(fixture->layers);
    fixture->layers = NULL;
    fixture->failure = (struct failure){.status = TRIT_OK};
    return layers_open(&fixture->layers, &config, &fixture->failure);
}

void layers_fixture_open(struct fixture *fixture, bool on_disk)
{
    *fixture = (struct fixture){.folder = ""};
    if (on_disk) {
        strcpy(fixture->folder, "/tmp/test-layers-XXXXXX");
        CHECK(mkdtemp(fixture->folder));
    }
    budget_init(&fixture->budget, 1 << 20);
    fixture->metrics = metrics_create(NULL, 0, "", "");
    CHECK(fixture->metrics);
    CHECK(layers_fixture_reopen(fixture) == 0);
}

static int remove_entry(const char *path, const struct stat *info, int kind,
                        struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

void layers_fixture_close(struct fixture *fixture)
{
    layers_close(fixture->layers);
    metrics_destroy(fixture->metrics);
    CHECK_EQ(fixture->budget.bytes_used, 0);
    if (fixture->folder[0])
        nftw(fixture->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

struct layer_spec layers_fixture_spec(const char *name, uint64_t rows, uint64_t columns)
{
    struct layer_spec spec = {
        .in_features = columns, .out_features = rows, .group_size = 16};

    strcpy(spec.name, name);
    return spec;
}

struct layer *layers_fixture_make(struct fixture *fixture, const struct layer_spec *spec,
                                  uint64_t seed)
{
    uint64_t groups = layer_groups_per_row(spec);
    size_t row = (size_t)(spec->in_features + 3) / 4;
    uint8_t *codes = malloc(row * (size_t)spec->out_features);
    struct layer *layer;

    CHECK(codes);
    CHECK(layers_reserve(fixture->layers, spec, &layer, &fixture->failure) == 0);
    for (size_t i = 0; i < row * (size_t)spec->out_features; i++)
        codes[i] = (uint8_t)(check_random(&seed) % 3 * 0x15);
    for (uint64_t i = 0; i < groups * spec->out_features; i++)
        layer->scales[i] = (float)(check_random(&seed) % 1000) / 100;
    for (uint64_t i = 0; spec->bias && i < spec->out_features; i++)
        layer->bias[i] = (float)i;
    linear_pack(spec->in_features, spec->group_size, codes, 0, spec->out_features,
                layer->codes);
    free(codes);
    layer->latents = LATENTS_DRAWN;
    layer->latents_dtype = TRIT_F32;
    layer->seed = seed;
    layer_publish(layer);
    layer_release(layer);
    return layer;
}
