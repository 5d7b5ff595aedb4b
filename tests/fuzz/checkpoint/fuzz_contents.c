/* SPDX-License-Identifier: Apache-2.0 */
/* Any header of tensors is classified, planned and compared: every tensor has its place,
 * and what was not examined is not passed. The first two bytes say which options are given. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/findings.h"
#include "checkpoint/plan_pack.h"
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

/* Each tensor of the output comes from one of the input, and no two have one name. */
static void check_outputs(const struct plan *plan, size_t count)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        const struct plan_item *item = &plan->items[i];
        const size_t places[] = {item->data, item->scales, item->biases};

        for (size_t k = 0; k < 3; k++)
            if (places[k] != PLAN_NONE)
                assert(places[k] == used++);
    }
    assert(used == plan->table.count);
    for (size_t i = 0; i < used && used <= 64; i++)
        for (size_t k = 0; k < i; k++)
            assert(strcmp(plan->table.entries[i].name, plan->table.entries[k].name) != 0);
}

static void check_items(const struct plan *plan, size_t count, enum plan_action action)
{
    uint64_t parameters = 0;
    size_t layers = 0, refused = 0;

    for (size_t i = 0; i < count; i++) {
        const struct plan_item *item = &plan->items[i];

        assert(item->action == action || item->action == PLAN_KEEP ||
               item->action == PLAN_REFUSE);
        assert(item->action != PLAN_REFUSE || item->data == PLAN_NONE);
        assert(item->action != action || item->data != PLAN_NONE);
        layers += item->action == action;
        refused += item->action == PLAN_REFUSE;
        parameters += content_parameters(&plan->contents, i);
    }
    assert(layers == plan->layers && refused == plan->refused);
    assert(parameters == plan->parameters_ternary + plan->parameters_kept);
    check_outputs(plan, count);
}

static void check_plan(const struct checkpoint_options *options,
                       const struct tensor_table *table)
{
    struct plan plan;

    if (plan_create(&plan, options, false, table, NULL) == 0) {
        check_items(&plan, table->count, PLAN_TERNARIZE);
        for (size_t i = 0; i < table->count; i++)
            assert(plan.items[i].action == PLAN_REFUSE ||
                   plan.items[i].data != PLAN_NONE);
    }
    plan_destroy(&plan);
}

static void check_pack_plan(const struct checkpoint_options *options, uint8_t choice,
                            const struct tensor_table *table, const struct record *record)
{
    const struct pack_target target = {
        .encoding = (enum trit_encoding)(choice % (TRIT_ENCODING_HF_BITNET + 1)),
        .group_size = choice & 64 ? 256 : 0,
        .dtype = choice & 128 ? TRIT_BF16 : TRIT_DTYPE_UNSPECIFIED};
    struct plan plan;

    if (plan_create_pack(&plan, options, &target, table, record, NULL) == 0)
        check_items(&plan, table->count, PLAN_PACK);
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
    check_pack_plan(&options, (uint8_t)(choice + more), table, &record);
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
