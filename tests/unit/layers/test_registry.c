/* SPDX-License-Identifier: Apache-2.0 */
/* Names, states, holders, memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "layers/impl.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/layers_fixture.h"

static struct fixture fixture;

static int find(const char *name, struct layer **layer)
{
    fixture.failure = (struct failure){.status = TRIT_OK};
    return layers_find(fixture.layers, name, layer, &fixture.failure);
}

CASE(finds_only_published, "a layer is found only after it is published")
{
    struct layer_spec spec = layers_fixture_spec("a", 4, 16);
    struct layer *layer, *found;

    layers_fixture_open(&fixture, false);
    CHECK(layers_reserve(fixture.layers, &spec, &layer, &fixture.failure) == 0);
    CHECK(find("a", &found) < 0 && fixture.failure.status == TRIT_NOT_FOUND);
    layer_publish(layer);
    CHECK(find("a", &found) == 0 && found == layer);
    layer_release(found);
    layer_release(layer);
    layers_fixture_close(&fixture);
}

CASE(takes_a_name_once, "a name is unique from its reservation on")
{
    struct layer_spec spec = layers_fixture_spec("a", 4, 16);
    struct layer *layer, *other;

    layers_fixture_open(&fixture, false);
    CHECK(layers_reserve(fixture.layers, &spec, &layer, &fixture.failure) == 0);
    CHECK(layers_reserve(fixture.layers, &spec, &other, &fixture.failure) < 0);
    CHECK(fixture.failure.status == TRIT_ALREADY_EXISTS);
    layer_unregister(layer);
    CHECK(layers_reserve(fixture.layers, &spec, &other, NULL) == 0);
    layer_release(layer);
    layer_release(other);
    layers_fixture_close(&fixture);
}

CASE(keeps_what_is_held,
     "a layer stays in memory while it is used, also after its removal")
{
    struct layer_spec spec = layers_fixture_spec("a", 4, 16);
    struct layer *held;

    layers_fixture_open(&fixture, false);
    layers_fixture_make(&fixture, &spec, 1);
    CHECK(find("a", &held) == 0);
    layer_unregister(held);
    layer_unregister(held); /* harmless */
    CHECK(held->state == LAYER_REMOVED && fixture.budget.bytes_used > 0);
    CHECK(held->matrix.rows == 4 && held->scales[0] >= 0);
    layer_release(held);
    CHECK_EQ(fixture.budget.bytes_used, 0);
    layers_fixture_close(&fixture);
}

CASE(walks_by_name, "layers are listed in order of name, optionally by prefix")
{
    static const char *const names[] = {"b", "a/2", "c", "a/1", "a", "a/10"};
    static const char *const expected[] = {"a/1", "a/10", "a/2"};
    struct layer *layer = NULL;

    layers_fixture_open(&fixture, false);
    for (size_t i = 0; i < 6; i++) {
        struct layer_spec spec = layers_fixture_spec(names[i], 1, 16);

        layers_fixture_make(&fixture, &spec, i);
    }
    for (size_t i = 0; i < 3; i++) {
        layer = layers_next(fixture.layers, "a/", layer ? layer->spec.name : NULL);
        layer_release(layer);
        CHECK(layer);
        CHECK_STR(layer->spec.name, expected[i]);
    }
    CHECK(!layers_next(fixture.layers, "a/", "a/2"));
    layer = layers_next(fixture.layers, "", "a/9");
    CHECK_STR(layer->spec.name, "b");
    layer_release(layer);
    layer = layers_next(fixture.layers, "", NULL);
    CHECK_STR(layer->spec.name, "a");
    layer_release(layer);
    layers_fixture_close(&fixture);
}

CASE(counts_against_the_budget, "a layer's memory is charged to the budget exactly")
{
    struct layer_spec spec = layers_fixture_spec("a", 1024, 768);
    struct layer *layer;
    uint64_t one;

    layers_fixture_open(&fixture, false);
    layers_fixture_make(&fixture, &spec, 1);
    one = fixture.budget.bytes_used;
    CHECK(one >= linear_code_bytes(1024, 768) + 1024 * 48 * 4);
    CHECK(one < linear_code_bytes(1024, 768) + 1024 * 48 * 4 + 4096);
    strcpy(spec.name, "b");
    layers_fixture_make(&fixture, &spec, 1);
    strcpy(spec.name, "c");
    CHECK(layers_reserve(fixture.layers, &spec, &layer, &fixture.failure) < 0);
    CHECK(fixture.failure.status == TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(fixture.budget.bytes_used, 2 * one);
    layers_fixture_close(&fixture);
}

CASE(bounded_in_number, "at most LAYERS_MAX layers are held")
{
    struct layer_spec spec = layers_fixture_spec("", 1, 16);
    struct layer *layer;

    layers_fixture_open(&fixture, false);
    budget_init(&fixture.budget, 1 << 30);
    for (unsigned i = 0; i < LAYERS_MAX; i++) {
        snprintf(spec.name, sizeof(spec.name), "%05u", i);
        CHECK(layers_reserve(fixture.layers, &spec, &layer, &fixture.failure) == 0);
        layer_release(layer);
    }
    strcpy(spec.name, "one more");
    CHECK(layers_reserve(fixture.layers, &spec, &layer, &fixture.failure) < 0);
    CHECK_EQ(fixture.failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(fixture.failure.message, "65536"));
    layer_unregister(fixture.layers->sorted[LAYERS_MAX / 2]);
    CHECK(layers_reserve(fixture.layers, &spec, &layer, NULL) == 0);
    layer_release(layer);
    layers_fixture_close(&fixture);
}

static uint64_t gauge(enum metric_id id)
{
    return metric_get(fixture.metrics, id);
}

CASE(gauges_what_is_held, "the gauges count layers, their memory and kept latents")
{
    struct layer_spec spec = layers_fixture_spec("a", 10, 100);
    struct layer *made, *kept;

    layers_fixture_open(&fixture, false);
    CHECK(layers_reserve(fixture.layers, &spec, &made, &fixture.failure) == 0);
    CHECK_EQ(gauge(M_LAYERS), 0);
    CHECK_EQ(gauge(M_LAYERS_BYTES), fixture.budget.bytes_used);
    layer_publish(made);
    layer_publish(made); /* harmless */
    strcpy(spec.name, "b");
    CHECK(layers_reserve(fixture.layers, &spec, &kept, &fixture.failure) == 0);
    kept->latents = LATENTS_KEPT;
    kept->latents_dtype = TRIT_F16;
    CHECK_EQ(gauge(M_LATENTS_BYTES), 0);
    layer_publish(kept);
    CHECK_EQ(gauge(M_LAYERS), 2);
    CHECK_EQ(gauge(M_LATENTS_BYTES), 2000);
    layer_unregister(kept);
    layer_unregister(kept); /* harmless */
    CHECK_EQ(gauge(M_LAYERS), 1);
    CHECK_EQ(gauge(M_LATENTS_BYTES), 0);
    CHECK_EQ(gauge(M_LAYERS_BYTES), fixture.budget.bytes_used);
    layer_release(kept);
    layer_unregister(made);
    layer_release(made);
    CHECK_EQ(gauge(M_LAYERS) + gauge(M_LAYERS_BYTES), 0);
    layers_fixture_close(&fixture);
}

CASE(survives_lack_of_memory, "whichever allocation fails, nothing is left behind")
{
    struct layer_spec spec = layers_fixture_spec("a", 4, 16);
    struct layer *layer;

    layers_fixture_open(&fixture, false);
    for (uint64_t n = 1;; n++) {
        int result;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = layers_reserve(fixture.layers, &spec, &layer, &fixture.failure);
        if (!fault_disarm())
            break;
        CHECK(result < 0 && fixture.failure.status == TRIT_RESOURCE_EXHAUSTED);
        CHECK_EQ(fixture.budget.bytes_used, 0);
        fixture.failure = (struct failure){.status = TRIT_OK};
    }
    layer_release(layer);
    layers_fixture_close(&fixture);
}

CASE(fills_in_defaults, "a spec without a group size gets the default")
{
    struct layer_spec spec = layers_fixture_spec("a", 4, 100);

    spec.group_size = 0;
    CHECK(layer_spec_check(&spec, NULL, NULL) == 0 && spec.group_size == 128);
    CHECK_EQ(layer_groups_per_row(&spec), 1);
    CHECK(layer_deviation(&spec) == 0.1);
}

CASE(full, "at most LAYERS_MAX layers are held, and refusals are counted")
{
    struct layer *many = calloc(LAYERS_MAX + 1, sizeof(*many));
    size_t bytes;
    char *text;

    CHECK(many);
    layers_fixture_open(&fixture, false);
    for (unsigned i = 0; i <= LAYERS_MAX; i++) {
        snprintf(many[i].spec.name, sizeof(many[i].spec.name), "%06u", i);
        CHECK((layers_insert(fixture.layers, &many[i], &fixture.failure) == 0) ==
              (i < LAYERS_MAX));
    }
    CHECK_EQ(fixture.failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(fixture.failure.message, "holds 65536 layers"));
    text = metrics_render(fixture.metrics, false, &bytes);
    CHECK(text && strstr(text, "tritd_limit_refusals_total{limit=\"layers\"} 1\n"));
    free(text);
    fixture.layers->count = 0; /* none of them was made by the registry */
    layers_fixture_close(&fixture);
    free(many);
}
