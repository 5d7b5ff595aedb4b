/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/scale_beside.h"

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

/* State while a plan is made. */
struct planning {
    struct plan *plan;
    const struct tensor_table *input;
    enum plan_action action; /* of layers: TERNARIZE or PACK */
    enum trit_dtype dtype;   /* of unpacked layers, or UNSPECIFIED */
    bool has_config;         /* config.json tells the architecture */
    bool to_gguf;            /* the output is a GGUF file */
    bool renames;            /* tensors get transformers' names */
    struct record record;    /* of the output */
    struct failure *failure;
};

/* Does another tensor have the name? The old tables of this layer do not count, because
 * the output lacks them. */
static bool is_taken(const struct planning *p, const char *name, size_t layer)
{
    const struct tensor_entry *entry = table_find(p->input, name);
    const struct content *item =
        entry ? &p->plan->contents.items[entry - p->input->entries] : NULL;

    return item && (p->action != PLAN_PACK || item->kind != CONTENT_SCALES ||
                    item->owner != layer);
}

/* The tensor's name in the output. */
static const char *output_name(const struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    const char *name = p->input->entries[index].name;
    char text[FILES_NAME_BYTES_MAX + 1];

    if (p->renames && gguf_name_in_output(p->input, &p->input->entries[index], text))
        return keep_text(p->plan, text);
    return content_is_foreign(content) ? content->dense.name : name;
}

/* A kept tensor of the output. */
static int add_kept(struct planning *p, size_t index)
{
    struct tensor_entry entry = p->input->entries[index];

    entry.name = output_name(p, index);
    return table_add(&p->plan->table, &entry, p->failure);
}

/* With transformers' names, rows get its order too. Heads of llama's q and k have their rows
 * in another one in GGUF files. */
static void order_rows(struct planning *p, size_t index)
{
    const struct tensor_entry *entry = &p->input->entries[index];
    char text[FILES_NAME_BYTES_MAX + 1];

    if (p->renames && gguf_name_in_output(p->input, entry, text))
        p->plan->contents.items[index].heads.rows = gguf_head_rows(p->input, entry);
}

/* Refuses the layer if the name of its scales or biases is taken. */
static bool check_names(struct planning *p, size_t index, const struct encoded_form *form)
{
    const enum trit_encoding encoding = p->plan->terms.encoding;
    const char *layer = output_name(p, index);
    struct plan_item *item = &p->plan->items[index];
    char name[SCALES_NAME_BYTES], reason[SCALES_NAME_BYTES + 64];

    if (!name_suits(encoding, layer)) {
        refuse(p->plan, item, "mlx_2bit needs layers whose names end in .weight");
        return false;
    }
    scales_name(encoding, layer, name);
    if (form->biases.type && !is_taken(p, name, index))
        biases_name(layer, name);
    if (!form->scales.type || !is_taken(p, name, index))
        return true;
    snprintf(reason, sizeof(reason),
             "its scales or biases would get the name %s, which is taken", name);
    refuse(p->plan, item, reason);
    return false;
}

static int add_table(struct planning *p, struct tensor_entry *entry, const char *name,
                     size_t *index)
{
    *index = p->plan->table.count;
    entry->name = name;
    return table_add(&p->plan->table, entry, p->failure);
}

static int add_outputs(struct planning *p, size_t index, struct encoded_form *form)
{
    const enum trit_encoding encoding = p->plan->terms.encoding;
    const char *layer = output_name(p, index);
    struct plan_item *item = &p->plan->items[index];
    char name[SCALES_NAME_BYTES];

    if (add_table(p, &form->data, layer, &item->data) < 0)
        return -1;
    if (!form->scales.type)
        return 0;
    scales_name(encoding, layer, name);
    if (add_table(p, &form->scales, name, &item->scales) < 0)
        return -1;
    if (!form->biases.type)
        return 0;
    biases_name(layer, name);
    return add_table(p, &form->biases, name, &item->biases);
}

/* What a pattern takes against the rules, or what may be stored the other way. */
static const char *warning_of(const struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    char text[128];

    if (p->action != PLAN_TERNARIZE)
        return NULL;
    if (content->included) {
        snprintf(text, sizeof(text),
                 "included by a pattern, although by the rules it is kept (%s)",
                 role_name(content->role));
        return keep_text(p->plan, text);
    }
    const char *turning = content->layout == LAYOUT_OUT_IN
                              ? config_may_turn(p->has_config, &content->dense)
                              : NULL;
    if (!turning)
        return NULL;
    snprintf(text, sizeof(text),
             "taken as [out, in]; %s stores a layer of this name as [in, out]: use "
             "--transposed if this file does",
             turning);
    return keep_text(p->plan, text);
}

/* Plans the tensors of an encoded layer, or refuses it if the encoding cannot hold it. */
static int add_layer(struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    const struct layer_terms *terms = &p->plan->terms;
    const struct matrices matrix = content_matrices(content);
    struct plan_item *item = &p->plan->items[index];
    struct tensor_entry dense = content->dense;
    struct failure why = {.status = TRIT_OK};
    struct encoded_form form;

    if (p->dtype != TRIT_DTYPE_UNSPECIFIED)
        dense.type = element_type_of(p->dtype);
    dense.name = output_name(p, index);
    if (encoded_form(terms, &dense, content->layout, &form, &why) < 0) {
        refuse(p->plan, item, why.message);
        return 0;
    }
    if (element_type_is_block(form.data.type) && !p->to_gguf) {
        refuse(p->plan, item, "i2_s has a form in GGUF files only");
        return 0;
    }
    if (!check_names(p, index, &form))
        return 0;
    item->action = p->action;
    item->warning = warning_of(p, index);
    item->groups =
        matrix.count *
        (terms->group_size ? matrix.rows * div_up(matrix.columns, terms->group_size) : 1);
    p->plan->layers++;
    if (record_add(&p->record, &dense, content->layout, p->failure) < 0)
        return -1;
    return add_outputs(p, index, &form);
}

static int keep(struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    const struct record *from = p->plan->contents.record;
    const char *name = p->input->entries[index].name;
    struct tensor_entry dense = content->dense;
    char text[CONTENT_TEXT_BYTES];

    dense.name = output_name(p, index);
    /* A layer that is neither packed nor unpacked stays one. */
    if (p->action == PLAN_PACK && from && from->layers && record_names(from, name) &&
        record_keep(&p->record, from, name, p->failure) < 0)
        return -1;
    /* A record cannot say that a scale is 1 / mean |w|. */
    if (p->action == PLAN_PACK && content->stays_encoded && !p->plan->reciprocals &&
        record_add_as(&p->record, &dense, content->layout, &content->terms, p->failure) <
            0)
        return -1;
    p->plan->items[index].reason =
        keep_text(p->plan, content_text(text, &p->plan->contents, index));
    return add_kept(p, index);
}

/* A layer that the encoding's reader needs dense. */
static bool stays_dense(const struct planning *p, const struct content *content)
{
    return p->action == PLAN_PACK && encoding_keeps_embeddings(p->plan->terms.encoding) &&
           content->terms.encoding == TRIT_ENCODING_DENSE &&
           (content->role == ROLE_EMBEDDING || content->role == ROLE_HEAD);
}

/* Are these experts that the encoding cannot hold, and that no pattern excludes? They would stay
 * dense in the output. */
static bool loses_experts(const struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    const struct tensor_entry *entry = &p->input->entries[index];

    return p->action == PLAN_TERNARIZE && content->role == ROLE_EXPERTS &&
           content->kind == CONTENT_KEPT && entry->bytes > 0 &&
           encoding_keeps_embeddings(p->plan->terms.encoding) &&
           type_holds(entry->type, TRIT_ENCODING_DENSE) && !may_be_convolution(entry);
}

static int add_by_kind(struct planning *p, size_t index)
{
    const struct content *content = &p->plan->contents.items[index];
    struct plan_item *item = &p->plan->items[index];
    char text[CONTENT_TEXT_BYTES];

    /* Tables go with their layer. */
    if (p->action == PLAN_PACK &&
        (content->kind == CONTENT_SCALES ||
         (content->kind == CONTENT_FOREIGN_TABLE && content->owner != CONTENT_NONE &&
          p->plan->contents.items[content->owner].kind == CONTENT_LAYER))) {
        item->data = PLAN_NONE;
        item->reason = keep_text(p->plan, content_text(text, &p->plan->contents, index));
        return 0;
    }
    if (content->kind == CONTENT_FOREIGN_WEIGHT || content->kind == CONTENT_UNFIT) {
        refuse(p->plan, item, content_text(text, &p->plan->contents, index));
        return 0;
    }
    if (loses_experts(p, index)) {
        refuse(
            p->plan, item,
            "experts of rank 3 have no form in hf_bitnet: they would stay dense, and the "
            "output would not be ternary; choose another encoding, or --exclude keeps "
            "them dense");
        return 0;
    }
    if (content->kind != CONTENT_LAYER)
        return keep(p, index);
    if (p->action == PLAN_PACK && content->beside != CONTENT_NONE) {
        refuse(p->plan, item, scale_beside_refusal);
        return 0;
    }
    if (stays_dense(p, content)) {
        item->reason = "its reader needs it dense";
        return add_kept(p, index);
    }
    if (content_is_complete(content))
        return add_layer(p, index);
    refuse(p->plan, item, "its scales or biases are missing");
    return 0;
}

static int add_item(struct planning *p, size_t index)
{
    struct plan *plan = p->plan;
    struct plan_item *item = &plan->items[index];
    const uint64_t parameters = content_parameters(&plan->contents, index);

    *item = (struct plan_item){.action = PLAN_KEEP,
                               .reason = "",
                               .data = plan->table.count,
                               .scales = PLAN_NONE,
                               .biases = PLAN_NONE};
    plan->bytes += p->input->entries[index].bytes;
    order_rows(p, index);
    if (add_by_kind(p, index) < 0)
        return -1;
    if (item->action == p->action)
        plan->parameters_ternary += parameters;
    else
        plan->parameters_kept += parameters;
    return 0;
}

/* May the record call the output's layers ternary? Values of another program's packing that
 * are only unpacked were not judged. A dense file is read without a record too. */
static bool is_judged(const struct planning *p)
{
    if (p->action != PLAN_PACK || p->plan->terms.encoding != TRIT_ENCODING_DENSE)
        return true;
    for (size_t i = 0; i < p->input->count; i++)
        if (p->plan->items[i].action == PLAN_PACK &&
            content_is_foreign(&p->plan->contents.items[i]))
            return false;
    return true;
}

static int add_metadata(struct planning *p)
{
    struct tensor_table *table = &p->plan->table;
    const bool mlx = p->plan->terms.encoding == TRIT_ENCODING_MLX_2BIT;

    /* The values of a GGUF file mean nothing in another format. */
    const bool copied = !table_is_gguf(p->input);

    for (size_t i = 0; copied && i < p->input->pair_count; i++)
        if (strcmp(p->input->pairs[i].key, RECORD_KEY) != 0 &&
            !table_pair(table, p->input->pairs[i].key) &&
            table_add_pair(table, p->input->pairs[i].key, p->input->pairs[i].value,
                           p->failure) < 0)
            return -1;
    /* If there is metadata, transformers before 5 needs a format in it. */
    if (!table_pair(table, "format") &&
        table_add_pair(table, "format", mlx ? "mlx" : "pt", p->failure) < 0)
        return -1;
    return is_judged(p) ? record_write(&p->record, table, p->failure) : 0;
}

static int add_all(struct planning *p)
{
    int result = record_init(&p->record, &p->plan->terms, p->failure);

    for (size_t i = 0; result == 0 && i < p->input->count; i++)
        result = add_item(p, i);
    if (result == 0)
        result = add_metadata(p);
    record_fini(&p->record);
    return result;
}

static int plan_init(struct plan *plan, const struct tensor_table *input,
                     struct failure *failure)
{
    *plan = (struct plan){.layers = 0};
    table_init(&plan->table);
    plan->items = calloc(input->count + 1, sizeof(*plan->items));
    return plan->items ? 0
                       : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int plan_create(struct plan *plan, const struct checkpoint_options *options, bool again,
                const struct tensor_table *input, struct failure *failure)
{
    struct planning p = {.plan = plan,
                         .input = input,
                         .action = PLAN_TERNARIZE,
                         .has_config = options->config && options->config->model_type[0],
                         .to_gguf = options->to_gguf,
                         .renames = !options->to_gguf && !options->keep_names &&
                                    gguf_is_known(input),
                         .failure = failure};
    struct record earlier = {.layers = NULL};
    int result = plan_init(plan, input, failure);

    if (result < 0)
        return -1;
    plan->terms = terms_of(options, NULL);
    /* An entry that is not a valid record is replaced. */
    if (record_read(&earlier, input, NULL) < 0)
        record_fini(&earlier);
    if (earlier.layers && !again)
        plan->refusal = "it carries the record of a projection, so its layers are "
                        "ternary already";
    result = contents_create(&plan->contents, options, CONTENTS_LATENTS, &plan->terms,
                             input, &earlier, failure);
    if (result == 0)
        result = add_all(&p);
    if (result == 0 && plan->layers == 0 && plan->refused == 0 && !plan->refusal)
        plan->refusal = "none of its tensors is a layer";
    record_fini(&earlier);
    plan->contents.record = NULL;
    return result;
}

/* Terms of the output when an input with these terms is packed. */
static struct layer_terms packed_terms(const struct layer_terms *source,
                                       const struct pack_target *target)
{
    const uint32_t by_default = group_size_default(target->encoding);
    struct layer_terms terms = {.encoding = target->encoding,
                                .partial_group = source->partial_group};

    terms.group_size = target->group_size   ? target->group_size
                       : by_default == 0    ? 0
                       : source->group_size ? source->group_size
                                            : by_default;
    /* Blocks of 256 weights hold groups of 128 whose scales are equal. */
    if (!target->group_size && terms_check(&terms, NULL) < 0)
        terms.group_size = encoding_block(target->encoding);
    return terms;
}

int plan_begin_pack(struct plan *plan, const struct checkpoint_options *options,
                    const struct pack_target *target, const struct tensor_table *input,
                    const struct record *record, struct failure *failure)
{
    struct planning p = {.plan = plan,
                         .input = input,
                         .action = PLAN_PACK,
                         .dtype = target->dtype,
                         .to_gguf = options->to_gguf,
                         .renames = !options->to_gguf && !options->keep_names &&
                                    gguf_is_known(input),
                         .failure = failure};
    const struct layer_terms source = terms_of_claim(options, record, input);
    int result = plan_init(plan, input, failure);

    if (result < 0)
        return -1;
    plan->terms = packed_terms(&source, target);
    plan->reciprocals = source.encoding == TRIT_ENCODING_HF_BITNET &&
                        !(record && record->layers) &&
                        config_has_reciprocals(options->config);
    result = terms_check(&plan->terms, failure);
    if (result == 0)
        result = contents_create(&plan->contents, options, CONTENTS_CLAIM, &source, input,
                                 record, failure);
    if (result == 0)
        result = add_all(&p);
    plan->contents.record = NULL;
    return result;
}

void plan_destroy(struct plan *plan)
{
    free(plan->factors);
    if (plan->items) {
        table_fini(&plan->table);
        contents_destroy(&plan->contents);
    }
    free(plan->items);
    *plan = (struct plan){.items = NULL};
}

void plan_refuse(struct plan *plan, size_t index, const char *reason)
{
    struct plan_item *item = &plan->items[index];

    if (item->action == PLAN_TERNARIZE || item->action == PLAN_PACK) {
        const uint64_t parameters = content_parameters(&plan->contents, index);

        plan->layers--;
        plan->parameters_ternary -= parameters;
        plan->parameters_kept += parameters;
    }
    item->action = PLAN_REFUSE;
    item->reason = keep_text(plan, reason);
    plan->refused++;
}

void plan_refuse_ternary(struct plan *plan, size_t index, uint64_t group)
{
    char reason[128] = "it is ternary already, and projecting it would change it";

    if (group)
        snprintf(reason, sizeof(reason),
                 "it is ternary already, in groups of %" PRIu64
                 ", and projecting it would change it",
                 group);
    plan_refuse(plan, index, reason);
}
