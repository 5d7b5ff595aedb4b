/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/side.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/biases.h"
#include "drive/foreign_read.h"
#include "drive/matrix.h"

enum exit_code side_open(struct side *side, const char *command, const char *path,
                         const struct options *options)
{
    struct failure failure = {.status = TRIT_OK};
    enum exit_code code;

    *side = (struct side){.record = {.layers = NULL}};
    code = input_open(&side->input, path, options);
    if (code == DONE)
        code = input_check(&side->input, path);
    if (code != DONE)
        return code;
    side->rules = input_options(&side->input, options);
    if (record_read(&side->record, reader_table(side->input.reader), &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    const struct layer_terms terms =
        terms_of_claim(&side->rules, &side->record, reader_table(side->input.reader));
    if (terms_check(&terms, &failure) < 0)
        return complain(USAGE, "%s: %s", command, failure.message);
    if (contents_create(&side->contents, &side->rules, CONTENTS_CLAIM, &terms,
                        reader_table(side->input.reader), &side->record, &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    side->reciprocals = terms.encoding == TRIT_ENCODING_HF_BITNET &&
                        !side->record.layers &&
                        config_has_reciprocals(side->rules.config);
    return DONE;
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

static int load_packed(struct side *side, size_t index, uint64_t number,
                       struct side_matrix *loaded, struct failure *failure)
{
    const struct content *content = &side->contents.items[index];
    const uint64_t bytes = content->dense.bytes / content_matrices(content).count;

    loaded->data = malloc((size_t)bytes + 1);
    if (!loaded->data)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    loaded->data_bytes = bytes;
    loaded->matrix.data = loaded->data;
    return foreign_read(side->input.reader, &side->contents, index, number, 0,
                        loaded->data, bytes, failure);
}

int side_load(struct side *side, size_t index, uint64_t number,
              struct side_matrix *loaded, struct failure *failure)
{
    const struct content *content = &side->contents.items[index];
    const struct tensor_entry *entries = side->contents.table->entries;
    struct matrices data = content_matrices(content);

    *loaded =
        (struct side_matrix){.matrix = {.rows = data.rows,
                                        .columns = data.columns,
                                        .terms = content->terms,
                                        .dtype = content_dtype(&side->contents, index)}};
    if (content_is_foreign(content))
        return load_packed(side, index, number, loaded, failure);
    data.transposed &= encoding_keeps_layout(content->terms.encoding);
    if (matrix_load(side->input.reader, &entries[index], &data, number, &loaded->data,
                    &loaded->data_bytes, failure) < 0)
        return -1;
    loaded->matrix.data = loaded->data;
    return content->scales == CONTENT_NONE
               ? 0
               : side_load_scales(side, index, number, loaded, failure);
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
