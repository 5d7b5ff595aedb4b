/* SPDX-License-Identifier: Apache-2.0 */
/* Findings that follow from tables alone: what a file holds, and what it lacks. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/findings.h"
#include "checkpoint/findings_config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/incomplete.h"
#include "checkpoint/scale_beside.h"
#include "kernels/kernels.h"
#include "proto/utf8.h"

/* Sets the hint of the newest finding, of any length. */
static void long_hint(struct file_findings *findings, const char *text)
{
    struct file_finding *newest = &findings->list[findings->count - 1];

    finding_set_hint(&newest->finding, text);
    if (strlen(text) > TRIT_FINDING_HINT_BYTES_MAX)
        newest->hint =
            arena_strndup(&findings->strings, text, utf8_cut(text, strlen(text)));
}

static void form_of(char text[TRIT_FINDING_VALUE_BYTES_MAX + 1],
                    const struct tensor_entry *entry)
{
    char shape[SHAPE_TEXT_BYTES];

    snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%s %s", entry->type->name,
             entry_shape_text(shape, entry));
}

enum { MLX_TEXT_BYTES = 192 };

/* MLX's modes mxfp4, mxfp8 and nvfp4 have exponents or F8 for scales, in bytes. */
static bool has_byte_scales(const struct tensor_table *table,
                            const struct tensor_entry *entry)
{
    char name[SCALES_NAME_BYTES];

    scales_name(TRIT_ENCODING_MLX_2BIT, entry->name, name);
    const struct tensor_entry *scales = table_find(table, name);
    return scales && strcmp(scales->type->name, "U8") == 0;
}

/* Why a weight that MLX packed is not read, and what to do about it. */
static void mlx_text(char text[MLX_TEXT_BYTES], const struct tensor_table *table,
                     const struct tensor_entry *entry)
{
    unsigned bits[MLX_WIDTHS_MAX];
    const size_t count = foreign_mlx_bits(table, entry, bits);
    size_t length;

    if (count == 0) {
        snprintf(
            text, MLX_TEXT_BYTES,
            has_byte_scales(table, entry)
                ? "; MLX's modes mxfp4, mxfp8 and nvfp4 are not read: save the model "
                  "with dense weights to have them examined, or --exclude leaves it out"
                : "; it has no scales and biases whose shapes fit a number of bits");
        return;
    }
    length = (size_t)snprintf(text, MLX_TEXT_BYTES, "; its shapes fit codes of ");
    for (size_t i = count; i-- > 0;)
        length += (size_t)snprintf(text + length, MLX_TEXT_BYTES - length, "%s%u",
                                   i == count - 1 ? "" : " or ", bits[i]);
    snprintf(text + length, MLX_TEXT_BYTES - length,
             " bits: say which with --bits%s, or put the model's config.json beside it",
             bits[count - 1] == 2 ? " (2: --encoding mlx_2bit)" : "");
}

/* What to do about weights of which the description says only how they are packed. */
static const char *way_out(const struct content *item, bool readable)
{
    switch (item->packing) {
    case PACKING_MLX: /* mlx_text says it, and the description of the next ones */
    case PACKING_FSDP:
    case PACKING_KERAS:
    case PACKING_HQQ:
    case PACKING_BITNET_GPU:
        return "";
    default:
        return readable || item->foreign.unread
                   ? ""
                   : "; it is not read: save the model with dense weights to have them "
                     "examined, or --exclude leaves it out";
    }
}

static void add_foreign(struct file_findings *findings, const struct contents *claim,
                        size_t index, bool has_record)
{
    const struct content *item = &claim->items[index];
    const char *name = claim->table->entries[index].name;
    char text[CONTENT_TEXT_BYTES], whole[CONTENT_TEXT_BYTES + 384];
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_FOREIGN_PACKING, NULL, name);
    const bool readable = !has_record && (item->packing == PACKING_HF_BITNET ||
                                          item->packing == PACKING_INT8);
    char widths[MLX_TEXT_BYTES] = "";

    if (item->packing == PACKING_MLX)
        mlx_text(widths, claim->table, &claim->table->entries[index]);
    if (!added)
        return;
    form_of(added->got, &claim->table->entries[index]);
    const bool otherwise = readable && claim->quant_method;
    snprintf(whole, sizeof(whole), "%s%s%s%s%s%s%s%s%s", content_text(text, claim, index),
             readable ? "; read it with --encoding " : "",
             readable ? packing_name(item->packing) : "",
             otherwise ? ", or correct config.json, whose quant_method is " : "",
             otherwise ? claim->quant_method : "", widths,
             item->foreign.unread ? "; " : "",
             item->foreign.unread ? item->foreign.unread : "", way_out(item, readable));
    long_hint(findings, whole);
}

static void add_unfit(struct file_findings *findings, const struct contents *claim,
                      size_t index)
{
    const struct content *item = &claim->items[index];
    const char *name = claim->table->entries[index].name;
    const bool recorded =
        claim->record && claim->record->layers && record_names(claim->record, name);
    struct trit_finding *added =
        recorded ? findings_add(findings, TRIT_FINDING_MISSING_LAYER, name, NULL)
                 : findings_add(findings, TRIT_FINDING_UNKNOWN_DTYPE, NULL, name);

    if (!added)
        return;
    form_of(added->got, &claim->table->entries[index]);
    finding_set_hint(added, item->unfit);
}

/* The encodings whose blocks fill the rows of a U8 tensor, for a hint. */
static void list_encodings(char *text, size_t bytes, const struct tensor_entry *entry)
{
    static const enum trit_encoding blocks[] = {
        TRIT_ENCODING_PQ2_0, TRIT_ENCODING_Q2_0,  TRIT_ENCODING_PTQ1_0,
        TRIT_ENCODING_TQ1_0, TRIT_ENCODING_TQ2_0,
    };
    const uint64_t row = entry->rank ? entry->shape[entry->rank - 1] : 0;
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        const struct encoding_layout *layout = encoding_layout(blocks[i]);

        if (!type_holds(entry->type, blocks[i]) || row == 0 || !layout ||
            row % layout->block_bytes != 0 || length >= bytes)
            continue;
        const int added = snprintf(text + length, bytes - length, "%s%s",
                                   length ? " or " : "; its rows are whole blocks of ",
                                   encoding_name(blocks[i]));
        length += added > 0 ? (size_t)added : 0;
    }
}

static void add_unknown(struct file_findings *findings, const struct contents *claim,
                        const struct tensor_entry *entry)
{
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_UNKNOWN_DTYPE, NULL, entry->name);
    char encodings[128], text[512];

    if (!added)
        return;
    form_of(added->got, entry);
    if (packing_is_no_table(claim->table, entry)) {
        finding_set_hint(added,
                         "named like a table of scales, but no packed weight beside it "
                         "has it; --exclude leaves it out");
        return;
    }
    if (type_holds(entry->type, TRIT_ENCODING_DENSE)) {
        finding_set_hint(added,
                         "a vector that may hold flattened weights, as FSDP's shards do; "
                         "save them in their own shapes, or --exclude leaves it out");
        return;
    }
    list_encodings(encodings, sizeof(encodings), entry);
    snprintf(
        text, sizeof(text),
        "a tensor that may hold weights, of a type that cannot be checked; --exclude "
        "leaves it out, --encoding gives its encoding%s%s%s",
        encodings, claim->quant_method ? "; config.json's quant_method is " : "",
        claim->quant_method ? claim->quant_method : "");
    finding_set_hint(added, text);
}

/* Are there experts that would be layers if their layout were known? */
static bool experts_are_unknown(const struct contents *claim, size_t index)
{
    const struct tensor_entry *entry = &claim->table->entries[index];
    const struct content *item = &claim->items[index];

    return item->kind == CONTENT_KEPT && item->role == ROLE_EXPERTS && entry->bytes > 0 &&
           type_holds(entry->type, TRIT_ENCODING_DENSE);
}

static void add_experts(struct file_findings *findings, const struct tensor_entry *entry,
                        bool has_record)
{
    struct trit_finding *added =
        has_record
            ? findings_add(findings, TRIT_FINDING_KEPT_BY_RECORD, entry->name, NULL)
            : findings_add(findings, TRIT_FINDING_UNKNOWN_DTYPE, NULL, entry->name);

    finding_set_hint(
        added, may_be_convolution(entry)
                   ? "neither name nor shape tells a stack of matrices from a "
                     "convolution: --experts out_in or in_out or --convolutions says "
                     "what it is, --exclude leaves it out"
                   : "experts of rank 3 were not examined; --experts out_in or in_out "
                     "says how their matrices lie, --exclude leaves them out");
    if (added)
        form_of(added->got, entry);
}

/* The key by which files of PrismML name the rotation in their metadata, or NULL. */
static const char *rotation_key(const struct tensor_table *table)
{
    for (size_t i = 0; i < table->pair_count; i++)
        if (strstr(table->pairs[i].key, "hadamard"))
            return table->pairs[i].key;
    return NULL;
}

static void add_rotated(struct file_findings *findings, const struct tensor_table *table)
{
    const char *key = rotation_key(table);

    if (key)
        finding_set_hint(
            findings_add(findings, TRIT_FINDING_ROTATED_BASIS, NULL, key),
            "the metadata says that the weights are in a rotated basis; they are "
            "checked in that basis");
}

void findings_judge_rotated(struct file_findings *findings,
                            const struct tensor_table *claim,
                            const struct tensor_table *latents)
{
    if (!rotation_key(claim) || rotation_key(latents))
        return;
    for (size_t i = 0; i < findings->count; i++) {
        struct file_finding *one = &findings->list[i];

        if (!one->layer || (one->finding.kind != TRIT_FINDING_CODES_DIFFER &&
                            one->finding.kind != TRIT_FINDING_SCALES_DIFFER))
            continue;
        one->finding.severity = TRIT_SEVERITY_UNDECIDED;
        one->hint = NULL;
        finding_set_hint(
            &one->finding,
            "the layer may be in the file's rotated basis; latents in another "
            "basis do not tell (trit verify rotates them if the file says how)");
    }
}

struct missing {
    struct file_findings *findings;
    const struct contents *claim, *latents;
    const struct checkpoint_options *options;
};

static int add_missing(void *arg, const char *name)
{
    const struct missing *missing = arg;

    if (!table_find(missing->claim->table, name) &&
        !(missing->latents && table_find(missing->latents->table, name)) &&
        selection_of(missing->options, name) != SELECTION_EXCLUDED)
        findings_add_lack(missing->findings, TRIT_FINDING_MISSING_LAYER, name, NULL,
                          "the file's record names it, but the file lacks it");
    return 0;
}

/* llama.cpp stores embeddings and head of a ternary model in types of their own, as llama-quantize
 * does in Q4_K and Q6_K: they are kept, as dense ones are, unless latents or an include pattern
 * ask for them. */
static bool is_kept_in_blocks(const struct contents *claim, size_t index)
{
    const struct content *item = &claim->items[index];

    return item->packing == PACKING_GGUF &&
           (item->role == ROLE_EMBEDDING || item->role == ROLE_HEAD) &&
           (encoding_block(claim->terms.encoding) > 1 ||
            encoding_keeps_embeddings(claim->terms.encoding));
}

void findings_add_contents(struct file_findings *findings,
                           const struct checkpoint_options *options,
                           const struct contents *claim, const struct contents *latents,
                           bool accept_record)
{
    struct missing missing = {findings, claim, latents, options};
    const bool has_record = claim->record && claim->record->layers;

    for (size_t i = 0; i < claim->table->count; i++) {
        const struct content *item = &claim->items[i];
        const struct tensor_entry *entry = &claim->table->entries[i];

        if ((item->kind == CONTENT_FOREIGN_WEIGHT ||
             item->kind == CONTENT_UNKNOWN_DTYPE) &&
            findings_add_mlx_without_scales(findings, options->config, claim, i)) {
            continue;
        } else if (item->kind == CONTENT_FOREIGN_WEIGHT) {
            if (latents || !is_kept_in_blocks(claim, i) ||
                selection_of(options, entry->name) == SELECTION_INCLUDED)
                add_foreign(findings, claim, i, has_record);
        } else if (item->kind == CONTENT_UNFIT) {
            add_unfit(findings, claim, i);
        } else if (item->kind == CONTENT_LAYER && !content_is_complete(item)) {
            findings_add_without_scales(findings, claim, i);
        } else if (item->kind == CONTENT_LAYER) {
            findings_add_config(findings, options->config, entry->name, item);
            findings_add_scale_beside(findings, options, claim, latents != NULL, i);
        } else if (findings_add_without_weight(findings, options, claim, latents, i)) {
            continue;
        } else if (item->kind == CONTENT_UNKNOWN_DTYPE &&
                   !(has_record && (latents || accept_record))) {
            add_unknown(findings, claim, entry);
        } else if (experts_are_unknown(claim, i) && !latents && !accept_record) {
            add_experts(findings, entry, has_record);
        } else if (item->kind == CONTENT_KEPT_BY_RECORD && !latents && !accept_record) {
            finding_set_hint(
                findings_add(findings, TRIT_FINDING_KEPT_BY_RECORD, entry->name, NULL),
                "a layer by the rules, but not in the file's record; --exclude "
                "leaves it out, --accept-record accepts all");
        }
    }
    add_rotated(findings, claim->table);
    if (has_record)
        record_visit(claim->record, add_missing, &missing);
}

static void add_renamed(struct file_findings *findings, const struct match_pair *pair,
                        const struct contents *claim, const struct contents *latents)
{
    const char *expected = latents->table->entries[pair->latents].name;
    const char *got = claim->table->entries[pair->claim].name;
    const bool layer = latents->items[pair->latents].kind == CONTENT_LAYER;
    char text[3 * FILES_NAME_BYTES_MAX + 256];

    if (!findings_add(findings, TRIT_FINDING_RENAMED, layer ? expected : NULL,
                      layer ? NULL : expected))
        return;
    snprintf(text, sizeof(text), "the file has %s in its place; %s", got, pair->hint);
    long_hint(findings, text);
}

static void add_pair(struct file_findings *findings, const struct match_pair *pair,
                     const struct contents *claim, const struct contents *latents)
{
    const struct tensor_entry *left =
        pair->claim == CONTENT_NONE ? NULL : &claim->table->entries[pair->claim];
    const struct tensor_entry *right =
        pair->latents == CONTENT_NONE ? NULL : &latents->table->entries[pair->latents];
    struct trit_finding *added = NULL;

    switch (pair->kind) {
    case MATCH_PROJECTION:
    case MATCH_BYTES:
    case MATCH_NO_STEP:
        return;
    case MATCH_RENAMED:
        add_renamed(findings, pair, claim, latents);
        return;
    case MATCH_MISSING_LAYER:
        added = findings_add(findings, TRIT_FINDING_MISSING_LAYER, right->name, NULL);
        if (added && left)
            form_of(added->got, &claim->items[pair->claim].dense);
        finding_set_hint(added, left ? "the latents have it with another shape or type"
                                     : "the latents have it, but the file lacks it");
        break;
    case MATCH_MISSING_TENSOR:
        added = findings_add(findings, TRIT_FINDING_MISSING_TENSOR, NULL, right->name);
        finding_set_hint(added, "the latents have it, but the file lacks it");
        break;
    case MATCH_EXTRA_LAYER:
        added = findings_add(findings, TRIT_FINDING_EXTRA_LAYER, left->name, NULL);
        break;
    case MATCH_EXTRA_TENSOR:
        added = findings_add(findings, TRIT_FINDING_EXTRA_TENSOR, NULL, left->name);
        break;
    }
    if (added && right)
        form_of(added->expected, right);
    if (added && !right) {
        added->severity = TRIT_SEVERITY_ERROR;
        form_of(added->got, left);
        finding_set_hint(added, "the file has it, but the latents lack it");
    }
    if (added && left && gguf_is_derived(claim->table, left->name)) {
        added->severity = TRIT_SEVERITY_WARNING;
        finding_set_hint(added,
                         "llama.cpp's rotary factors follow from config.json; they "
                         "were not compared");
    }
}

void findings_add_match(struct file_findings *findings, const struct match *match,
                        const struct contents *claim, const struct contents *latents)
{
    for (size_t i = 0; i < match->count; i++)
        add_pair(findings, &match->pairs[i], claim, latents);
}
