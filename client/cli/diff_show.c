/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "checkpoint/json.h"
#include "client/cli/diff.h"
#include "proto/json_value.h"

static json_t *diff_json(const char *name, const struct layer_diff *diff)
{
    json_t *transitions = json_array();
    json_t *json;

    for (size_t i = 0; i < 9; i++)
        json_array_append_new(transitions, json_uint64(diff->transitions[i / 3][i % 3]));
    /* The ratio to an infinite scale is infinite, which JSON cannot express. */
    json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "layer", name, "elements",
                     json_uint64(diff->elements), "codes_differing",
                     json_uint64(diff->codes_differing), "transitions", transitions,
                     "magnitudes_differing", json_uint64(diff->magnitudes_differing),
                     "scale_ratio_max", json_number(diff->scale_ratio_max), "equal",
                     !diff->has_first);
    if (json && diff->has_first)
        json_put(json, "first", json_uint64(diff->first));
    return json;
}

static void layer_row(struct grid *grid, const char *name, const struct layer_diff *diff)
{
    grid_cell(grid, "%s", name);
    grid_cell(grid, "%" PRIu64, diff->codes_differing);
    grid_cell(grid, "%.4f %%",
              diff->elements
                  ? 100.0 * (double)diff->codes_differing / (double)diff->elements
                  : 0.0);
    grid_cell(grid, "%.6g", diff->scale_ratio_max);
    if (diff->has_first)
        grid_cell(grid, "at element %" PRIu64, diff->first);
    else
        grid_cell(grid, "equal");
}

int diff_show_layer(struct diffing *d, const char *name, const struct layer_diff *diff)
{
    *(diff->has_first ? &d->layers_differing : &d->layers_equal) += 1;
    if (d->grid) {
        if (diff->has_first)
            layer_row(d->grid, name, diff);
        return 0;
    }
    return json_array_append_new(d->layers, diff_json(name, diff)) == 0
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int diff_show_other(struct diffing *d, const char *name, const char *what)
{
    json_t *json;

    *(what ? &d->others_differing : &d->others_equal) += 1;
    if (d->grid) {
        if (!what)
            return 0;
        grid_cell(d->grid, "%s", name);
        for (int i = 0; i < 3; i++)
            grid_cell(d->grid, "-");
        grid_cell(d->grid, "%s", what);
        return 0;
    }
    json = json_pack("{s:s, s:b, s:s*}", "tensor", name, "equal", !what, "what", what);
    return json_array_append_new(d->tensors, json) == 0
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}
