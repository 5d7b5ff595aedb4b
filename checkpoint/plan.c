/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static const char *keep_text(struct plan *plan, const char *text)
{
    const char *kept = arena_strndup(&plan->contents.strings, text, strlen(text));

    return kept ? kept : "";
}

static void refuse(struct plan *plan, struct plan_item *item, const char *reason)
{
    item->action = PLAN_REFUSE;
    item->reason = keep_text(plan, reason);
    item->data = item->scales = item->biases = PLAN_NONE;
    plan->refused++;
}

/* What an encoding makes of a layer; refused where it cannot hold it, or where the
 * name of its scales is taken. */
static int add_layer(struct plan *plan, const struct tensor_table *input, size_t index,
                     struct failure *failure)
{
    const struct tensor_entry *entry = &input->entries[index];
    const struct layer_terms *terms = &plan->contents.items[index].terms;
    const enum layer_layout layout = plan->contents.items[index].layout;
    const struct matrices matrix = matrices_of(layout, entry->rank, entry->shape);
    struct plan_item *item = &plan->items[index];
    struct failure why = {.status = TRIT_OK};
    char name[SCALES_NAME_BYTES], reason[SCALES_NAME_BYTES + 64];
    struct encoded_form form;

    if (encoded_form(terms, entry, layout, &form, &why) < 0) {
        refuse(plan, item, why.message);
        return 0;
    }
    if (!name_suits(terms->encoding, entry->name)) {
        refuse(plan, item, "mlx_2bit holds layers whose names end in .weight");
        return 0;
    }
    scales_name(terms->encoding, entry->name, name);
    if (form.biases.type && !table_find(input, name))
        biases_name(entry->name, name);
    if (form.scales.type && table_find(input, name)) {
        snprintf(reason, sizeof(reason),
                 "its scales or biases would be called %s, which is there already", name);
        refuse(plan, item, reason);
        return 0;
    }
    item->action = PLAN_TERNARIZE;
    item->groups =
        matrix.count *
        (terms->group_size ? matrix.rows * div_up(matrix.columns, terms->group_size) : 1);
    item->data = plan->table.count;
    form.data.name = entry->name;
    if (table_add(&plan->table, &form.data, failure) < 0)
        return -1;
    plan->layers++;
    if (!form.scales.type)
        return 0;
    scales_name(terms->encoding, entry->name, name);
    item->scales = plan->table.count;
    form.scales.name = name;
    if (table_add(&plan->table, &form.scales, failure) < 0)
        return -1;
    if (!form.biases.type)
        return 0;
    biases_name(entry->name, name);
    item->biases = plan->table.count;
    form.biases.name = name;
    return table_add(&plan->table, &form.biases, failure);
}

static int add_item(struct plan *plan, const struct tensor_table *input, size_t index,
                    struct record *record, struct failure *failure)
{
    const struct content *content = &plan->contents.items[index];
    struct plan_item *item = &plan->items[index];
    uint64_t parameters = content_parameters(&plan->contents, index);
    char text[CONTENT_TEXT_BYTES];

    *item = (struct plan_item){.action = PLAN_KEEP,
                               .reason = "",
                               .data = plan->table.count,
                               .scales = PLAN_NONE,
                               .biases = PLAN_NONE};
    plan->bytes += input->entries[index].bytes;
    if (content->kind == CONTENT_LAYER) {
        if (record_add(record, &input->entries[index], content->layout, failure) < 0 ||
            add_layer(plan, input, index, failure) < 0)
            return -1;
    } else if (content->kind == CONTENT_FOREIGN_WEIGHT ||
               content->kind == CONTENT_UNFIT) {
        refuse(plan, item, content_text(text, &plan->contents, index));
    } else {
        item->reason = keep_text(plan, content_text(text, &plan->contents, index));
        if (table_add(&plan->table, &input->entries[index], failure) < 0)
            return -1;
    }
    if (item->action == PLAN_TERNARIZE)
        plan->parameters_ternary += parameters;
    else
        plan->parameters_kept += parameters;
    return 0;
}

static int add_metadata(struct plan *plan, const struct tensor_table *input,
                        const struct record *record, struct failure *failure)
{
    for (size_t i = 0; i < input->pair_count; i++)
        if (strcmp(input->pairs[i].key, RECORD_KEY) != 0 &&
            !table_pair(&plan->table, input->pairs[i].key) &&
            table_add_pair(&plan->table, input->pairs[i].key, input->pairs[i].value,
                           failure) < 0)
            return -1;
    /* Where there is metadata, transformers before 5 wants a format in it. */
    if (!table_pair(&plan->table, "format") &&
        table_add_pair(&plan->table, "format",
                       plan->contents.terms.encoding == TRIT_ENCODING_MLX_2BIT ? "mlx"
                                                                               : "pt",
                       failure) < 0)
        return -1;
    return record_write(record, &plan->table, failure);
}

static int add_all(struct plan *plan, const struct tensor_table *input,
                   struct failure *failure)
{
    struct record record;
    int result = record_init(&record, &plan->contents.terms, failure);

    for (size_t i = 0; result == 0 && i < input->count; i++)
        result = add_item(plan, input, i, &record, failure);
    if (result == 0)
        result = add_metadata(plan, input, &record, failure);
    record_fini(&record);
    return result;
}

int plan_create(struct plan *plan, const struct checkpoint_options *options, bool again,
                const struct tensor_table *input, struct failure *failure)
{
    const struct layer_terms terms = terms_of(options, NULL);
    struct record earlier = {.layers = NULL};
    int result;

    *plan = (struct plan){.layers = 0};
    table_init(&plan->table);
    plan->items = calloc(input->count + 1, sizeof(*plan->items));
    if (!plan->items)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    /* A pair that makes no sense as a record is none, and is replaced. */
    if (record_read(&earlier, input, NULL) < 0)
        record_fini(&earlier);
    if (earlier.layers && !again)
        plan->refusal = "it carries the record of a projection, so its layers are "
                        "ternary already";
    result = contents_create(&plan->contents, options, CONTENTS_LATENTS, &terms, input,
                             &earlier, failure);
    if (result == 0)
        result = add_all(plan, input, failure);
    record_fini(&earlier);
    plan->contents.record = NULL;
    return result;
}

void plan_destroy(struct plan *plan)
{
    if (plan->items) {
        table_fini(&plan->table);
        contents_destroy(&plan->contents);
    }
    free(plan->items);
    *plan = (struct plan){.items = NULL};
}

void plan_refuse_ternary(struct plan *plan, size_t index)
{
    const uint64_t parameters = content_parameters(&plan->contents, index);
    struct plan_item *item = &plan->items[index];

    item->action = PLAN_REFUSE;
    item->reason = "it is ternary already, and projecting it would change it";
    plan->refused++;
    plan->layers--;
    plan->parameters_ternary -= parameters;
    plan->parameters_kept += parameters;
}

const char *plan_action_name(enum plan_action action)
{
    switch (action) {
    case PLAN_TERNARIZE:
        return "ternarize";
    case PLAN_PACK:
        return "pack";
    case PLAN_KEEP:
        return "keep";
    case PLAN_REFUSE:
        break;
    }
    return "refuse";
}
