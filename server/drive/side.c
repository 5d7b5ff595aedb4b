/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/side.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/biases.h"
#include "drive/matrix.h"

int side_read_terms(struct side *side, const struct checkpoint_options *options,
                    struct layer_terms *terms, struct failure *failure)
{
    const struct tensor_table *table = reader_table(side->input.reader);

    side->rules = *options;
    side->rules.config = side->input.has_config ? &side->input.config : NULL;
    side->rules.read_small = reader_read_small;
    side->rules.read_arg = side->input.reader;
    if (record_read(&side->record, table, failure) < 0)
        return -1;
    *terms = terms_of_claim(&side->rules, &side->record, table);
    return 0;
}

int side_read_contents(struct side *side, const struct layer_terms *terms,
                       struct failure *failure)
{
    if (contents_create(&side->contents, &side->rules, CONTENTS_CLAIM, terms,
                        reader_table(side->input.reader), &side->record, failure) < 0)
        return -1;
    side->reciprocals = terms->encoding == TRIT_ENCODING_HF_BITNET &&
                        !side->record.layers &&
                        config_has_reciprocals(side->rules.config);
    return 0;
}

void side_close(struct side *side)
{
    contents_destroy(&side->contents);
    record_fini(&side->record);
    input_close(&side->input);
}

/* A layer is divided by its scale: it is multiplied by the reciprocal, rounded to f32. */
static int take_reciprocal(struct side_matrix *loaded, struct failure *failure)
{
    const float scale = float_at(loaded->matrix.scales_dtype, loaded->scales, 0);
    float *reciprocal = malloc(sizeof(*reciprocal));

    if (!reciprocal)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    *reciprocal = 1 / scale;
    free(loaded->scales);
    loaded->scales = reciprocal;
    loaded->scale_bytes = sizeof(*reciprocal);
    loaded->matrix.scales = reciprocal;
    loaded->matrix.scales_dtype = TRIT_F32;
    return 0;
}

int side_load_scales(struct side *side, size_t index, uint64_t number,
                     struct side_matrix *loaded, struct failure *failure)
{
    const struct content *content = &side->contents.items[index];
    const struct tensor_entry *entry = &side->contents.table->entries[content->scales];
    struct matrices scales = content_matrices(content);

    scales.transposed = false;
    if (matrix_load(side->input.reader, entry, &scales, number, &loaded->scales,
                    &loaded->scale_bytes, failure) < 0)
        return -1;
    loaded->matrix.scales = loaded->scales;
    loaded->matrix.scales_dtype = entry->type->dtype;
    return side->reciprocals ? take_reciprocal(loaded, failure) : 0;
}

int side_check_biases(struct side *side, size_t index, struct failure *failure)
{
    enum { PIECE_BYTES = 1 << 16 };
    const struct content *content = &side->contents.items[index];
    const struct tensor_entry *entries = side->contents.table->entries;
    struct bias_check found = {.count = 0};

    if (content->biases == CONTENT_NONE || content_is_foreign(content))
        return 0;
    const struct tensor_entry *scales = &entries[content->scales];
    char *buffer = malloc(2 * PIECE_BYTES);
    int result =
        buffer ? 0 : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (uint64_t at = 0; at < scales->bytes && result == 0; at += PIECE_BYTES) {
        const uint64_t bytes = u64_min(PIECE_BYTES, scales->bytes - at);

        result = reader_read(side->input.reader, scales, at, buffer, bytes, failure);
        if (result == 0)
            result = reader_read(side->input.reader, &entries[content->biases], at,
                                 buffer + PIECE_BYTES, bytes, failure);
        if (result == 0)
            found = bias_check(scales->type->dtype, buffer, buffer + PIECE_BYTES, bytes);
        if (result == 0 && found.count)
            result = fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                          "group %" PRIu64 " is not ternary: its bias is %.9g, its scale "
                          "%.9g; a bias must be -scale",
                          at / dtype_bytes(scales->type->dtype) + found.first, found.bias,
                          found.scale);
    }
    free(buffer);
    return result;
}

void side_unload(struct side_matrix *loaded)
{
    free(loaded->data);
    free(loaded->scales);
    loaded->data = loaded->scales = NULL;
}
