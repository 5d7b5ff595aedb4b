/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/side.h"

#include <stdlib.h>

#include "client/cli/matrix.h"

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
    side->said = input_options(&side->input, options);
    if (record_read(&side->record, reader_table(side->input.reader), &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    const struct layer_terms terms = terms_of(&side->said, &side->record);
    if (terms_check(&terms, &failure) < 0)
        return complain(USAGE, "%s: %s", command, failure.message);
    if (contents_create(&side->contents, &side->said, CONTENTS_CLAIM, &terms,
                        reader_table(side->input.reader), &side->record, &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    if (terms.encoding == TRIT_ENCODING_HF_BITNET && !side->record.layers &&
        config_has_reciprocals(side->said.config))
        return complain(FAILED,
                        "%s: its scales are one divided by the mean magnitude "
                        "(linear_class bitlinear), which only verify reads",
                        path);
    return DONE;
}

void side_close(struct side *side)
{
    contents_destroy(&side->contents);
    record_fini(&side->record);
    input_close(&side->input);
}

int side_load(struct side *side, size_t index, uint64_t number,
              struct side_matrix *loaded, struct failure *failure)
{
    const struct content *content = &side->contents.items[index];
    const struct tensor_entry *entries = side->contents.table->entries;
    struct matrices data = content_matrices(content), scales = data;

    *loaded = (struct side_matrix){.matrix = {.rows = data.rows,
                                              .columns = data.columns,
                                              .terms = content->terms,
                                              .dtype = entries[index].type->dtype}};
    data.transposed &= encoding_keeps_layout(content->terms.encoding);
    scales.transposed = false;
    if (matrix_load(side->input.reader, &entries[index], &data, number, &loaded->data,
                    &loaded->data_bytes, failure) < 0)
        return -1;
    loaded->matrix.data = loaded->data;
    if (content->scales == CONTENT_NONE)
        return 0;
    if (matrix_load(side->input.reader, &entries[content->scales], &scales, number,
                    &loaded->scales, &loaded->scale_bytes, failure) < 0)
        return -1;
    loaded->matrix.scales = loaded->scales;
    loaded->matrix.scales_dtype = entries[content->scales].type->dtype;
    return 0;
}

void side_unload(struct side_matrix *loaded)
{
    free(loaded->data);
    free(loaded->scales);
    loaded->data = loaded->scales = NULL;
}
