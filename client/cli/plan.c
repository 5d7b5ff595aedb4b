#include "client/cli/plan.h"

#include <stdlib.h>
#include <string.h>

static int add_scales(struct plan *plan, enum trit_encoding encoding,
                      const struct tensor_table *input, const char *layer,
                      struct tensor_entry *scales, struct failure *failure)
{
    char name[SCALES_NAME_BYTES];

    scales_name(encoding, layer, name);
    if (table_find(input, name))
        return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                    "the scales of %s would be called %s, which is there already", layer,
                    name);
    scales->name = name;
    return table_add(&plan->table, scales, failure);
}

static int add_layer(struct plan *plan, const struct options *options,
                     const struct tensor_table *input, const struct tensor_entry *entry,
                     struct plan_item *item, struct failure *failure)
{
    struct encoded_form form;

    if (encoded_form(options->encoding, options->group_size, entry, &form, failure) != 0)
        return fail_context(failure, "%s", entry->name);
    item->layer = true;
    item->data = plan->table.count;
    form.data.name = entry->name;
    if (table_add(&plan->table, &form.data, failure) != 0)
        return -1;
    if (form.scales.type) {
        item->scales = plan->table.count;
        if (add_scales(plan, options->encoding, input, entry->name, &form.scales,
                       failure) != 0)
            return -1;
    }
    plan->layers++;
    return 0;
}

static int add_items(struct plan *plan, const struct options *options,
                     const struct tensor_table *input, struct record *record,
                     struct failure *failure)
{
    for (size_t i = 0; i < input->count; i++) {
        const struct tensor_entry *entry = &input->entries[i];
        struct plan_item *item = &plan->items[i];
        int result;

        *item = (struct plan_item){.data = plan->table.count, .scales = PLAN_NONE};
        if (!layer_selected(options, entry))
            result = table_add(&plan->table, entry, failure);
        else if (record_add(record, entry, failure) == 0)
            result = add_layer(plan, options, input, entry, item, failure);
        else
            result = -1;
        if (result != 0)
            return -1;
        plan->bytes += entry->bytes;
    }
    return 0;
}

static int add_metadata(struct plan *plan, const struct tensor_table *input,
                        const struct record *record, struct failure *failure)
{
    for (size_t i = 0; i < input->pair_count; i++)
        if (strcmp(input->pairs[i].key, RECORD_KEY) != 0 &&
            table_add_pair(&plan->table, input->pairs[i].key, input->pairs[i].value,
                           failure) != 0)
            return -1;
    return record_write(record, &plan->table, failure);
}

int plan_create(struct plan *plan, const struct options *options,
                const struct tensor_table *input, struct failure *failure)
{
    uint32_t group_size =
        options->group_size ? options->group_size : group_size_default(options->encoding);
    struct record record;
    int result;

    *plan = (struct plan){.layers = 0};
    table_init(&plan->table);
    plan->items = calloc(input->count + 1, sizeof(*plan->items));
    if (!plan->items)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (record_init(&record, options->encoding, group_size, options->partial_group,
                    failure) != 0)
        return -1;
    result = add_items(plan, options, input, &record, failure);
    if (result == 0)
        result = add_metadata(plan, input, &record, failure);
    record_fini(&record);
    return result;
}

void plan_destroy(struct plan *plan)
{
    if (plan->items)
        table_fini(&plan->table);
    free(plan->items);
    *plan = (struct plan){.items = NULL};
}
