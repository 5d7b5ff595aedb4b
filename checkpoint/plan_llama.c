/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_llama.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/name_parts.h"

enum { EXPERT_KINDS = 3 }; /* gate, up, down */

/* The tensor that the experts of a block become. */
struct merged {
    char name[GGUF_NAME_BYTES]; /* "": there is none yet */
    size_t data;
    uint32_t count;
    const struct tensor_entry *first; /* of the output, before it is merged */
    enum plan_action action;
    uint8_t *seen; /* a flag for each expert */
};

/* What becomes of an input tensor; applied where all have a place. */
struct change {
    size_t data;
    uint64_t part, parts;
    uint64_t head_rows;
    bool turned;
    const char *left_out; /* why the output lacks it, or NULL */
};

struct storing {
    struct plan *plan;
    const struct gguf_model *model;
    struct tensor_table table; /* of the output */
    struct record record;
    struct change *changes; /* one for each tensor of the input */
    struct merged *merged;  /* EXPERT_KINDS for each block; NULL: no experts */
    bool has_embeddings, has_head;
    bool archive; /* a tensor has no place */
    struct failure *failure;
};

void plan_remark(struct plan *plan, const char *text)
{
    char both[2 * FILES_NAME_BYTES_MAX];

    snprintf(both, sizeof(both), "%s%s%s", plan->remark ? plan->remark : "",
             plan->remark ? "; " : "", text);
    plan->remark = arena_strndup(&plan->contents.strings, both, strlen(both));
}

/* There is no place for a tensor. */
__attribute__((format(printf, 2, 3))) static int no_place(struct storing *s,
                                                          const char *format, ...)
{
    char text[FILES_NAME_BYTES_MAX + 256];
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    plan_remark(s->plan, text);
    s->archive = true;
    return 0;
}

static bool is_layer(const struct plan_item *item)
{
    return item->action == PLAN_TERNARIZE || item->action == PLAN_PACK;
}

static bool name_is(const char *name, const char *whole)
{
    return strcmp(name, whole) == 0;
}

/* ---- the entry --------------------------------------------------------------------------- */

/* llama.cpp computes with vectors, the router and the table of positions in F32. */
static bool needs_f32(const struct tensor_entry *entry, const struct gguf_place *place)
{
    return element_type_is_float(entry->type) &&
           (entry->rank < 2 || !name_ends_with(place->name, ".weight") ||
            name_ends_with(place->name, ".ffn_gate_inp.weight") ||
            name_is(place->name, "position_embd.weight"));
}

/* Swaps the last two axes. */
static void turn(struct tensor_entry *entry)
{
    const uint64_t last = entry->shape[entry->rank - 1];

    entry->shape[entry->rank - 1] = entry->shape[entry->rank - 2];
    entry->shape[entry->rank - 2] = last;
}

/* The output's entry: that of the plan, [out, in] and in llama.cpp's type. */
static struct tensor_entry entry_of(const struct storing *s, size_t index,
                                    const struct gguf_place *place, struct change *change)
{
    const struct plan *plan = s->plan;
    const struct plan_item *item = &plan->items[index];
    const struct content *content = &plan->contents.items[index];
    struct tensor_entry entry = plan->table.entries[item->data];

    if (is_layer(item)) {
        if (content_matrices(content).transposed && !element_type_is_block(entry.type))
            turn(&entry);
    } else if (entry.rank == 2 && name_is(s->model->architecture, "gpt2") &&
               name_is_conv1d(plan->contents.table->entries[index].name)) {
        change->turned = true;
        turn(&entry);
    }
    if (needs_f32(&entry, place))
        entry.type = element_type_of(TRIT_F32);
    return entry;
}

/* ---- experts -------------------------------------------------------------------------- */

static int no_memory(struct storing *s)
{
    return fail(s->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* The tensor that `place` names in its block; NULL: *failure. */
static struct merged *find_merged(struct storing *s, const struct gguf_place *place)
{
    if (!s->merged)
        s->merged = calloc((size_t)s->model->blocks * EXPERT_KINDS, sizeof(*s->merged));
    for (size_t i = 0; s->merged && i < EXPERT_KINDS; i++) {
        struct merged *merged = &s->merged[place->block * EXPERT_KINDS + i];

        if (!merged->name[0]) {
            merged->seen = calloc(s->model->experts, 1);
            if (!merged->seen)
                break;
            memcpy(merged->name, place->name, sizeof(merged->name));
            merged->data = PLAN_NONE;
        }
        if (name_is(merged->name, place->name))
            return merged;
    }
    no_memory(s);
    return NULL;
}

static bool same_form(const struct tensor_entry *a, const struct tensor_entry *b)
{
    return a->type == b->type && a->rank == 2 && b->rank == 2 &&
           a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

static int add_expert(struct storing *s, size_t index, const struct gguf_place *place,
                      const struct tensor_entry *entry, struct change *change)
{
    const struct plan_item *item = &s->plan->items[index];
    const char *name = s->plan->contents.table->entries[index].name;

    if (entry->type->tail_bytes)
        return no_place(s, "%s: experts cannot share a tensor of %s", name,
                        entry->type->name);
    if (place->expert >= s->model->experts)
        return no_place(s, "%s: config.json says %u experts", name, s->model->experts);
    struct merged *merged = find_merged(s, place);
    if (!merged)
        return -1;
    if (merged->count == 0) {
        struct tensor_entry whole = *entry;

        merged->first = &s->plan->table.entries[item->data];
        merged->action = item->action;
        merged->data = s->table.count;
        whole.name = place->name;
        whole.rank = 3;
        whole.shape[0] = s->model->experts;
        whole.shape[1] = entry->shape[0];
        whole.shape[2] = entry->shape[1];
        if (entry->rank == 2 && table_add(&s->table, &whole, s->failure) < 0)
            return -1;
    }
    if (!same_form(merged->first, &s->plan->table.entries[item->data]) ||
        merged->action != item->action || merged->seen[place->expert])
        return no_place(s, "%s: the experts of a block differ in type or shape", name);
    merged->seen[place->expert] = 1;
    merged->count++;
    change->data = merged->data;
    change->part = place->expert;
    change->parts = s->model->experts;
    return 0;
}

static int check_experts(struct storing *s)
{
    for (size_t i = 0; s->merged && i < (size_t)s->model->blocks * EXPERT_KINDS; i++) {
        const struct merged *merged = &s->merged[i];

        if (merged->count && merged->count != s->model->experts)
            return no_place(s, "%s would have %u experts, config.json says %u",
                            merged->name, merged->count, s->model->experts);
    }
    return 0;
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* Rows of a head, where llama.cpp stores them in another order. False: they are no whole
 * heads. */
static bool take_heads(struct storing *s, const struct tensor_entry *entry,
                       const struct gguf_place *place, struct change *change)
{
    const uint64_t heads = place->of_key ? s->model->key_heads : s->model->heads;

    if (!place->has_heads)
        return true;
    change->head_rows = entry->rank ? entry->shape[0] / heads : 0;
    return change->head_rows && entry->shape[0] % (2 * heads) == 0;
}

/* The record names the output's layers. */
static int note_layer(struct storing *s, size_t index, const struct tensor_entry *entry,
                      const char *name)
{
    const struct content *content = &s->plan->contents.items[index];
    const struct matrices matrices = content_matrices(content);
    struct tensor_entry dense = {.name = name,
                                 .type = content->dense.type,
                                 .rank = content->dense.rank,
                                 .shape = {matrices.rows, matrices.columns}};
    enum layer_layout layout = LAYOUT_OUT_IN;

    if (!is_layer(&s->plan->items[index]) || record_names(&s->record, name))
        return 0;
    if (element_type_is_float(entry->type))
        dense.type = entry->type;
    if (s->table.entries[s->table.count - 1].rank == 3) {
        layout = LAYOUT_EXPERTS_OUT_IN;
        dense.rank = 3;
        dense.shape[0] = s->table.entries[s->table.count - 1].shape[0];
        dense.shape[1] = matrices.rows;
        dense.shape[2] = matrices.columns;
    } else if (dense.rank > 2) { /* a convolution */
        memcpy(dense.shape, content->dense.shape, sizeof(dense.shape));
    }
    return record_add(&s->record, &dense, layout, s->failure);
}

static int store(struct storing *s, size_t index, const struct gguf_place *place,
                 struct change *change)
{
    const char *name = s->plan->contents.table->entries[index].name;
    struct tensor_entry entry = entry_of(s, index, place, change);
    int result;

    if (!take_heads(s, &entry, place, change))
        return no_place(s, "%s: its rows are not whole heads of config.json", name);
    if (name_is(place->name, "token_embd.weight")) {
        s->has_embeddings = true;
        if (entry.rank != 2 || entry.shape[0] != s->model->vocabulary)
            return no_place(s, "%s has %" PRIu64 " rows, config.json's vocab_size is %u",
                            name, entry.shape[0], s->model->vocabulary);
    }
    s->has_head |= name_is(place->name, "output.weight");
    if (place->is_expert) {
        result = add_expert(s, index, place, &entry, change);
    } else {
        entry.name = place->name;
        change->data = s->table.count;
        result = table_add(&s->table, &entry, s->failure);
    }
    return result < 0 || s->archive ? result : note_layer(s, index, &entry, place->name);
}

/* Why the output lacks the tensor; NULL: it does not. */
static const char *reason_left_out(const struct storing *s, const char *name,
                                   const struct gguf_place *place)
{
    if (gguf_leaves_out(name))
        return "llama.cpp computes it";
    return s->model->tied && name_is(place->name, "output.weight")
               ? "it is tied to the embeddings"
               : NULL;
}

static int store_tensor(struct storing *s, size_t index)
{
    const char *name = s->plan->contents.table->entries[index].name;
    struct change *change = &s->changes[index];
    struct gguf_place place;

    change->data = PLAN_NONE;
    if (s->plan->items[index].data == PLAN_NONE)
        return 0;
    const bool known = gguf_place_of(s->model->architecture, name, &place);
    change->left_out = reason_left_out(s, name, &place);
    if (change->left_out)
        return 0;
    if (!known || (place.in_block && place.block >= s->model->blocks) ||
        (name_is(place.name, "output.weight") &&
         name_is(s->model->architecture, "bitnet")))
        return no_place(s, "llama.cpp's %s has no tensor for %s", s->model->architecture,
                        name);
    return store(s, index, &place, change);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Two tensors of transformers may have one name of llama.cpp's. */
static int check_names(struct storing *s)
{
    const size_t count = s->table.count;
    const char **names = calloc(count + 1, sizeof(*names));

    if (!names)
        return no_memory(s);
    for (size_t i = 0; i < count; i++)
        names[i] = s->table.entries[i].name;
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count && !s->archive; i++)
        if (name_is(names[i - 1], names[i]))
            no_place(s, "two tensors would have the name %s", names[i]);
    free(names);
    return 0;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int add_factors(struct storing *s)
{
    const struct tensor_entry entry = {.name = "rope_freqs.weight",
                                       .type = element_type_of(TRIT_F32),
                                       .rank = 1,
                                       .shape = {s->model->head_rows / 2}};

    if (s->model->rope != GGUF_ROPE_LLAMA3)
        return 0;
    s->plan->factors = calloc(s->model->head_rows, sizeof(float));
    if (!s->plan->factors)
        return no_memory(s);
    gguf_model_factors(s->model, s->plan->factors);
    s->plan->factors_data = s->table.count;
    return table_add(&s->table, &entry, s->failure);
}

/* Keys with a dot are those of GGUF. */
static int add_pairs(struct storing *s)
{
    const struct tensor_table *old = &s->plan->table;

    for (size_t i = 0; i < old->pair_count; i++)
        if (!name_is(old->pairs[i].key, RECORD_KEY) && !strchr(old->pairs[i].key, '.') &&
            table_add_pair(&s->table, old->pairs[i].key, old->pairs[i].value,
                           s->failure) < 0)
            return -1;
    return table_pair(old, RECORD_KEY) ? record_write(&s->record, &s->table, s->failure)
                                       : 0;
}

static void leave_out(struct plan *plan, size_t index, const char *reason)
{
    struct plan_item *item = &plan->items[index];
    const uint64_t parameters = content_parameters(&plan->contents, index);

    if (is_layer(item)) {
        plan->layers--;
        plan->parameters_ternary -= parameters;
    } else {
        plan->parameters_kept -= parameters;
    }
    item->action = PLAN_KEEP;
    item->data = PLAN_NONE;
    item->reason = reason;
}

static void apply(struct storing *s)
{
    struct plan *plan = s->plan;

    plan->architecture = s->model->architecture;
    for (size_t i = 0; i < plan->contents.table->count; i++) {
        const struct change *change = &s->changes[i];
        struct plan_item *item = &plan->items[i];

        if (change->left_out) {
            leave_out(plan, i, change->left_out);
            continue;
        }
        item->data = change->data;
        item->part = change->part;
        item->parts = change->parts;
        item->turned = change->turned;
        plan->contents.items[i].heads =
            (struct head_order){.rows = change->head_rows, .interleaves = true};
    }
    table_fini(&plan->table);
    plan->table = s->table;
    table_init(&s->table);
}

static int store_all(struct storing *s)
{
    int result = record_init(&s->record, &s->plan->terms, s->failure);

    for (size_t i = 0; result == 0 && !s->archive && i < s->plan->contents.table->count;
         i++)
        result = store_tensor(s, i);
    if (result == 0 && !s->archive && !s->has_embeddings)
        no_place(s, "the model has no embeddings");
    /* llama.cpp would take the embeddings in its place; its bitnet always does. */
    if (result == 0 && !s->archive && s->model->untied && !s->has_head &&
        !name_is(s->model->architecture, "bitnet"))
        no_place(s, "config.json's tie_word_embeddings is false, but lm_head.weight is "
                    "missing");
    if (result == 0 && !s->archive)
        result = check_experts(s);
    if (result == 0 && !s->archive)
        result = add_factors(s);
    if (result == 0 && !s->archive)
        result = check_names(s);
    if (result == 0 && !s->archive)
        result = add_pairs(s);
    return result;
}

int plan_store_for_llama(struct plan *plan, const struct gguf_model *model,
                         struct failure *failure)
{
    struct storing s = {.plan = plan, .model = model, .failure = failure};
    int result = 0;

    if (!model->architecture || model->remark[0])
        plan_remark(plan, model->remark);
    if (!model->architecture)
        return 0;
    table_init(&s.table);
    s.changes = calloc(plan->contents.table->count + 1, sizeof(*s.changes));
    result = s.changes ? store_all(&s) : no_memory(&s);
    if (result == 0 && !s.archive)
        apply(&s);
    for (size_t i = 0; s.merged && i < (size_t)model->blocks * EXPERT_KINDS; i++)
        free(s.merged[i].seen);
    free(s.merged);
    free(s.changes);
    record_fini(&s.record);
    table_fini(&s.table);
    return result;
}
