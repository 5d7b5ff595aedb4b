/* SPDX-License-Identifier: Apache-2.0 */
/* A registry of layers with its budget and metrics, in memory or in a folder of the
 * test. */
#ifndef TESTS_LIB_LAYERS_FIXTURE_H
#define TESTS_LIB_LAYERS_FIXTURE_H

#include "base/budget.h"
#include "layers/files.h"
#include "layers/name.h"
#include "obs/metrics.h"

struct fixture {
    char folder[64]; /* "" = in memory only */
    struct budget budget;
    struct metrics *metrics;
    struct layers *layers;
    struct failure failure;
};

void layers_fixture_open(struct fixture *fixture, bool on_disk);

/* Closes and opens the registry again. -1: see fixture->failure. */
int layers_fixture_reopen(struct fixture *fixture);

/* Checks that the budget is whole again, and removes the folder. */
void layers_fixture_close(struct fixture *fixture);

/* A spec with groups of 16. */
struct layer_spec layers_fixture_spec(const char *name, uint64_t rows, uint64_t columns);

/* A published layer with weights that depend on `seed`; held by nobody. */
struct layer *layers_fixture_make(struct fixture *fixture, const struct layer_spec *spec,
                                  uint64_t seed);

#endif
