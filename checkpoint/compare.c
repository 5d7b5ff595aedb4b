/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/compare.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/gguf_names.h"

static const char *hint_of(enum content_kind kind)
{
    if (kind == CONTENT_KEPT_BY_RECORD)
        return "the file's record does not name it as a layer, so it should "
               "equal the latents' tensor";
    if (kind == CONTENT_EXCLUDED)
        return "a pattern excludes it from the layers, so it should equal the "
               "latents' tensor";
    return "it is not a layer, so it should equal the latents' tensor";
}

static struct trit_finding *add_difference(struct file_findings *findings,
                                           const struct contents *claim, size_t index)
{
    struct trit_finding *added = findings_add(findings, TRIT_FINDING_OTHER_TENSOR_DIFFERS,
                                              NULL, claim->table->entries[index].name);

    if (added)
        snprintf(added->hint, sizeof(added->hint), "%s",
                 hint_of(claim->items[index].kind));
    return added;
}

bool entries_comparable(const struct tensor_table *claim, size_t index,
                        const struct tensor_table *latents, size_t wanted)
{
    const struct tensor_entry *a = &claim->entries[index];
    const struct tensor_entry *b = &latents->entries[wanted];
    const bool floats = type_holds(a->type, TRIT_ENCODING_DENSE) &&
                        type_holds(b->type, TRIT_ENCODING_DENSE) &&
                        (table_is_gguf(claim) || table_is_gguf(latents));

    return (a->type == b->type || floats) && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static void form_of(char text[TRIT_FINDING_VALUE_BYTES_MAX + 1],
                    const struct tensor_entry *entry)
{
    char shape[SHAPE_TEXT_BYTES];

    snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%s %s", entry->type->name,
             entry_shape_text(shape, entry));
}

bool findings_add_form(struct file_findings *findings, const struct contents *claim,
                       size_t index, const struct tensor_table *latents, size_t wanted)
{
    const struct tensor_entry *entry = &claim->table->entries[index];

    if (entries_comparable(claim->table, index, latents, wanted))
        return false;
    struct trit_finding *added = add_difference(findings, claim, index);
    if (added) {
        form_of(added->expected, &latents->entries[wanted]);
        form_of(added->got, entry);
    }
    return true;
}

void findings_add_difference(struct file_findings *findings, const struct contents *claim,
                             size_t index, const struct difference *difference)
{
    struct trit_finding *added =
        difference->count ? add_difference(findings, claim, index) : NULL;

    if (!added)
        return;
    added->has_index = added->has_count = true;
    added->index = difference->first;
    added->count = difference->count;
    memcpy(added->expected, difference->expected, sizeof(added->expected));
    memcpy(added->got, difference->got, sizeof(added->got));
}

void findings_add_nothing(struct file_findings *findings)
{
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_NOTHING_EXAMINED, NULL, NULL);

    if (added)
        snprintf(added->hint, sizeof(added->hint),
                 "none of its tensors is a layer that can be checked");
}
