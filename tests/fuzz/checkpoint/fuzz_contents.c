/* SPDX-License-Identifier: Apache-2.0 */
/* Any header of tensors is classified, planned and compared: every tensor has its place,
 * and what was not examined is not passed. The first two bytes say which options are given. */
#include <assert.h>
#include <stdlib.h>

#include "checkpoint/config.h"
#include "checkpoint/findings.h"
#include "checkpoint/plan.h"
#include "checkpoint/renamed.h"
#include "files/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The matrices of a layer have all of its elements, none twice. */
static void check_layer(const struct content *item)
{
    const struct matrices matrix = content_matrices(item);
    uint64_t elements;

    assert(item->dense.type && item->dense.rank >= 1);
    assert(shape_elements(item->dense.rank, item->dense.shape, &elements));
    assert(matrix.count * matrix.rows * matrix.columns == elements);
}

static void check_contents(const struct contents *contents)
{
    const size_t count = contents->table->count;
    char text[CONTENT_TEXT_BYTES];
    size_t layers = 0;

    for (size_t i = 0; i < count; i++) {
        const struct content *item = &contents->items[i];

        layers += item->kind == CONTENT_LAYER;
        assert(content_text(text, contents, i)[0]);
        assert(item->scales == CONTENT_NONE ||
               contents->items[item->scales].kind == CONTENT_SCALES);
        assert(item->owner == CONTENT_NONE || item->owner < count);
        assert(item->biases == CONTENT_NONE ||
               contents->items[item->biases].kind == CONTENT_SCALES);
        if (item->kind == CONTENT_LAYER)
            check_layer(item);
        content_parameters(contents, i);
    }
    assert(layers == contents->layers);
}

static void check_plan(const struct checkpoint_options *options,
                       const struct tensor_table *table)
{
    struct plan plan;

    if (plan_create(&plan, options, false, table, NULL) == 0)
        for (size_t i = 0; i < table->count; i++) {
            const struct plan_item *item = &plan.items[i];

            assert((item->action == PLAN_REFUSE) == (item->data == PLAN_NONE));
            assert(item->data == PLAN_NONE || item->data < plan.table.count);
            assert(item->scales == PLAN_NONE || item->scales < plan.table.count);
            assert(item->biases == PLAN_NONE || item->biases < plan.table.count);
        }
    plan_destroy(&plan);
}

/* A file that is compared with itself has no missing and no further tensor. */
static void check_match(const struct checkpoint_options *options,
                        const struct contents *claim, const struct contents *latents)
{
    struct file_findings findings;
    char text[FINDING_TEXT_BYTES];
    struct match match;

    findings_init(&findings);
    findings_add_contents(&findings, options, claim, latents, false);
    if (match_create(&match, options, claim, latents, NULL) == 0) {
        assert(match.count == claim->table->count);
        for (size_t i = 0; i < match.count; i++)
            assert(match.pairs[i].claim == i);
        match_find_renamed(&match, claim, latents);
        findings_add_match(&findings, &match, claim, latents);
    }
    for (size_t i = 0; i < findings.count; i++)
        assert(finding_text(text, &findings.list[i])[0]);
    match_destroy(&match);
    findings_fini(&findings);
}

static void check_table(uint8_t choice, uint8_t more, const struct tensor_table *table)
{
    static const char *const patterns[] = {"*weight*", "l.*"};
    const struct model_config config = {
        .bits = more & 1 ? 2 : 0, .group_size = 64, .conv1d = more >> 1 & 1};
    const struct checkpoint_options options = {
        .experts = (enum experts_layout)((more >> 2 & 3) % (EXPERTS_IN_OUT + 1)),
        .transposed = {patterns, more >> 4 & 1},
        .config = more >> 5 & 1 ? &config : NULL,
        .group_size = more >> 6 & 1 ? 64 : 0,
        .include = {patterns, choice >> 7},
        .exclude = {patterns + 1, choice >> 6 & 1},
        .convolutions = choice >> 5 & 1,
        .has_encoding = choice >> 4 & 1,
        .encoding = (enum trit_encoding)((choice & 15) % (TRIT_ENCODING_MLX_2BIT + 1))};
    struct contents claim, latents;
    struct record record;

    if (record_read(&record, table, NULL) < 0)
        record_fini(&record);
    const struct layer_terms terms = terms_of(&options, &record);
    int result =
        contents_create(&claim, &options, CONTENTS_CLAIM, &terms, table, &record, NULL);
    if (result == 0)
        check_contents(&claim);
    if (contents_create(&latents, &options, CONTENTS_LATENTS, &terms, table, NULL,
                        NULL) == 0) {
        check_contents(&latents);
        if (result == 0)
            check_match(&options, &claim, &latents);
    }
    contents_destroy(&claim);
    contents_destroy(&latents);
    record_fini(&record);
    check_plan(&options, table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source *source;
    struct reader *reader;

    if (size < 2 ||
        source_memory(&source, data + 2, size - 2, "input.safetensors", NULL) != 0)
        return 0;
    if (reader_open_source(&reader, source, NULL, NULL) == 0) {
        check_table(data[0], data[1], reader_table(reader));
        reader_close(reader);
    }
    return 0;
}
