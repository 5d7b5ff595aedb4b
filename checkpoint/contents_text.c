/* SPDX-License-Identifier: Apache-2.0 */
/* Describes tensors in words. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/contents.h"

const char *content_kind_name(enum content_kind kind)
{
    switch (kind) {
    case CONTENT_LAYER:
        return "layer";
    case CONTENT_SCALES:
        return "scales";
    case CONTENT_KEPT:
        return "kept";
    case CONTENT_EXCLUDED:
        return "excluded";
    case CONTENT_KEPT_BY_RECORD:
        return "kept_by_record";
    case CONTENT_FOREIGN_WEIGHT:
        return "foreign_weight";
    case CONTENT_FOREIGN_TABLE:
        return "foreign_table";
    case CONTENT_UNKNOWN_DTYPE:
        return "unknown_dtype";
    case CONTENT_UNFIT:
        break;
    }
    return "unfit";
}

static const char *role_text(const struct contents *contents, size_t index)
{
    const struct tensor_entry *entry = &contents->table->entries[index];

    if (entry->bytes == 0)
        return "empty";
    switch (contents->items[index].role) {
    case ROLE_LINEAR:
        return type_holds(entry->type, TRIT_ENCODING_DENSE)
                   ? "a weight"
                   : "not of type f32, f16 or bf16";
    case ROLE_EMBEDDING:
        return encoding_keeps_embeddings(contents->terms.encoding)
                   ? "an embedding, which readers of this encoding need dense"
                   : "an embedding";
    case ROLE_HEAD:
        return encoding_keeps_embeddings(contents->terms.encoding)
                   ? "the head, which readers of this encoding need dense"
                   : "the head";
    case ROLE_EXPERTS:
        return encoding_keeps_embeddings(contents->terms.encoding)
                   ? "experts of rank 3, which readers of this encoding need dense"
                   : "experts of rank 3, kept unless --experts out_in or in_out gives "
                     "their layout";
    case ROLE_CONVOLUTION:
        return "a convolution, kept unless --convolutions is given";
    case ROLE_NORM:
        return "a norm";
    case ROLE_BIAS:
        return "a bias";
    case ROLE_ROUTER:
        return "a router gate";
    case ROLE_ROTARY:
        return "a rotary table";
    case ROLE_POSITION:
        return "a position table";
    case ROLE_LORA:
        return "a LoRA factor";
    case ROLE_PACKING_TABLE:
        return "a table of a packing";
    case ROLE_OTHER:
        break;
    }
    return entry->rank == 0   ? "a scalar"
           : entry->rank == 1 ? "a vector"
                              : "not a weight by its name or rank";
}

struct listing {
    const struct contents *contents;
    char *text;
    size_t length;
};

static void list_table(void *arg, size_t index)
{
    struct listing *listing = arg;
    const char *name = listing->contents->table->entries[index].name;
    const char *before = strstr(listing->text, name);

    if (listing->contents->items[index].kind != CONTENT_FOREIGN_TABLE ||
        listing->length >= CONTENT_TEXT_BYTES)
        return;
    /* mentioned already: the text contains the whole name */
    for (; before; before = strstr(before + 1, name))
        if (before[strlen(name)] == '\0' || before[strlen(name)] == ',')
            return;
    int added =
        snprintf(listing->text + listing->length, CONTENT_TEXT_BYTES - listing->length,
                 "%s%s", listing->length ? ", " : "", name);
    listing->length += added > 0 ? (size_t)added : 0;
}

static const char *foreign_text(char *text, const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];
    char tables[CONTENT_TEXT_BYTES] = "";
    struct listing listing = {contents, tables, 0};

    if (item->packing == PACKING_FSDP) {
        snprintf(text, CONTENT_TEXT_BYTES,
                 "FSDP's flat parameters: all tensors of a module in one; save a full "
                 "state dict instead");
        return text;
    }
    if (item->packing == PACKING_GGUF) {
        snprintf(text, CONTENT_TEXT_BYTES, "packed in blocks of GGUF's %s",
                 contents->table->entries[index].type->name);
        return text;
    }
    if (item->packing == PACKING_KERAS)
        return "packed as Keras's ternary kernel, without the number of its inputs; that is "
               "in the model's .keras file";
    if (item->packing == PACKING_BITNET_GPU)
        return "packed in BitNet's layout for GPUs, where converter and kernel disagree which "
               "rows of wqkv a scale is for; use the checkpoint from which it was converted";
    if (item->packing == PACKING_HQQ)
        return "packed by HQQ, with zero points, which are not read; to have the weights "
               "examined, save them as HQQLinear.dequantize gives them";
    packing_visit(contents->table, &contents->table->entries[index], list_table,
                  &listing);
    const bool by_config = item->packing == PACKING_OTHER && contents->quant_method;
    snprintf(text, CONTENT_TEXT_BYTES, "packed as %s%s%s%.*s",
             by_config ? contents->quant_method : packing_name(item->packing),
             by_config ? " (by config.json)" : "", tables[0] ? ", with the tables " : "",
             CONTENT_TEXT_BYTES - 256, tables);
    return text;
}

const char *content_text(char text[CONTENT_TEXT_BYTES], const struct contents *contents,
                         size_t index)
{
    const struct content *item = &contents->items[index];
    const char *type = contents->table->entries[index].type->name;

    switch (item->kind) {
    case CONTENT_FOREIGN_WEIGHT:
        return foreign_text(text, contents, index);
    case CONTENT_FOREIGN_TABLE:
        if (item->owner == CONTENT_NONE)
            break;
        snprintf(text, CONTENT_TEXT_BYTES, "a table of %.*s", CONTENT_TEXT_BYTES - 32,
                 contents->table->entries[item->owner].name);
        return text;
    case CONTENT_SCALES:
        snprintf(text, CONTENT_TEXT_BYTES, "the %s of %.*s",
                 contents->items[item->owner].biases == index ? "biases" : "scales",
                 CONTENT_TEXT_BYTES - 32, contents->table->entries[item->owner].name);
        return text;
    case CONTENT_UNKNOWN_DTYPE:
        if (packing_is_no_table(contents->table, &contents->table->entries[index]))
            return "a table of scales without a packed weight";
        if (type_holds(contents->table->entries[index].type, TRIT_ENCODING_DENSE))
            return "a vector as long as flattened weights";
        snprintf(text, CONTENT_TEXT_BYTES, "%s of %s, which is not supported",
                 item->role == ROLE_LINEAR ? "a weight"
                                           : "a tensor that may hold weights",
                 type);
        return text;
    case CONTENT_UNFIT:
        snprintf(text, CONTENT_TEXT_BYTES, "%s", item->unfit);
        return text;
    case CONTENT_KEPT_BY_RECORD:
        return "a layer that the file's record does not name";
    case CONTENT_EXCLUDED:
        return item->not_included ? "matched by no include pattern"
                                  : "excluded by a pattern";
    case CONTENT_LAYER:
        if (!content_is_foreign(item))
            return "a layer";
        if (item->packing == PACKING_KERAS)
            return "a layer, packed as Keras's ternary kernel";
        snprintf(text, CONTENT_TEXT_BYTES, "a layer, packed as %s with %u bits",
                 packing_name(item->packing), item->foreign.bits);
        return text;
    case CONTENT_KEPT:
        break;
    }
    return role_text(contents, index);
}
