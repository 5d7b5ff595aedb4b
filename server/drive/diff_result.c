/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "checkpoint/json.h"
#include "drive/diff_impl.h"
#include "proto/json_value.h"

static json_t *layer_json(const char *name, const struct layer_diff *diff)
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

static json_t *take_layer(struct diffing *d, const struct diff_piece *piece)
{
    *(piece->diff.has_first ? &d->layers_differing : &d->layers_equal) += 1;
    if (d->layer)
        d->layer(d->owner, piece->name, &piece->diff);
    return layer_json(piece->name, &piece->diff);
}

static json_t *take_other(struct diffing *d, const struct diff_piece *piece)
{
    const char *what = piece->what[0] ? piece->what : NULL;

    *(what ? &d->others_differing : &d->others_equal) += 1;
    if (d->other)
        d->other(d->owner, piece->name, what);
    return json_pack("{s:s, s:b, s:s*}", "tensor", piece->name, "equal", !what, "what",
                     what);
}

int diff_take(struct diffing *d, const struct diff_piece *piece, struct failure *failure)
{
    json_t *json = piece->is_layer ? take_layer(d, piece) : take_other(d, piece);

    return json_array_append_new(piece->is_layer ? d->layers : d->others, json) == 0
               ? 0
               : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

bool diff_is_equal(const struct diffing *d)
{
    return d->layers_differing == 0 && d->others_differing == 0 &&
           json_array_size(d->keys) == 0;
}

json_t *diff_json(const struct diffing *d, const char *a, const char *b)
{
    return json_pack("{s:o, s:o, s:b, s:O, s:O, s:O}", "a", json_path(a), "b",
                     json_path(b), "equal", diff_is_equal(d), "layers", d->layers,
                     "tensors", d->others, "keys", d->keys);
}
