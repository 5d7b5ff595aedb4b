/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/notes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/utf8.h"

static enum trit_finding_kind kind_of(const struct reader_note *note)
{
    switch (note->kind) {
    case READER_INDEX_DISAGREES:
    case READER_SPLIT_DISAGREES:
        return TRIT_FINDING_INDEX_DISAGREES;
    case READER_NOT_IN_INDEX:
    case READER_NOT_READ:
    case READER_ONE_OF_SHARDS:
        return TRIT_FINDING_NOT_IN_INDEX;
    case READER_TRUNCATED:
        return TRIT_FINDING_TRUNCATED;
    case READER_DUPLICATE:
        break;
    }
    return TRIT_FINDING_DUPLICATE;
}

/* The name of a shard, cut to `most` bytes. */
static int cut(const char *name, size_t most)
{
    const size_t bytes = strnlen(name, most);

    return (int)(name[bytes] ? utf8_cut(name, bytes) : bytes);
}

static void write_hint(struct trit_finding *finding, const struct reader_note *note)
{
    char *hint = finding->hint;
    const size_t bytes = sizeof(finding->hint);

    switch (note->kind) {
    case READER_INDEX_DISAGREES:
        if (note->tensor)
            snprintf(hint, bytes, "the index says that %.*s holds it",
                     cut(note->shard, 100), note->shard);
        else if (note->count)
            snprintf(hint, bytes,
                     "the file is missing; the index says that it holds tensors");
        else
            snprintf(hint, bytes,
                     "the file is missing; the names of the other shards imply it");
        break;
    case READER_NOT_IN_INDEX:
        snprintf(hint, bytes, "%.*s holds it, but the index does not list it; it is read",
                 cut(note->shard, 64), note->shard);
        break;
    case READER_NOT_READ:
        snprintf(hint, bytes,
                 "%s not examined: the folder's weights are those of %.*s; %s",
                 note->count > 1 ? "it and the others of its kind were" : "it was",
                 cut(note->other, 100), note->other,
                 note->count > 1 ? "join them to safetensors and verify that"
                                 : "verify it by its name");
        break;
    case READER_ONE_OF_SHARDS:
        snprintf(
            hint, bytes,
            "%.*s is one of %" PRIu64
            " shards of a model, and the others were not examined; name their folder",
            cut(note->other, 100), note->other, note->count + 1);
        break;
    case READER_TRUNCATED:
        snprintf(hint, bytes, "%.*s ends before it does; download or copy the file again",
                 cut(note->shard, 100), note->shard);
        break;
    case READER_DUPLICATE:
        snprintf(hint, bytes, "%.*s and %.*s both hold it", cut(note->other, 64),
                 note->other, cut(note->shard, 64), note->shard);
        break;
    case READER_SPLIT_DISAGREES:
        snprintf(
            hint, bytes,
            "it is a part of a split model: put all of its parts into one folder, as "
            "NAME-00001-of-0000N.gguf and so on");
        break;
    }
}

static void write_length(struct trit_finding *finding, const struct reader_note *note)
{
    if (note->kind == READER_SPLIT_DISAGREES) {
        snprintf(finding->expected, sizeof(finding->expected), "%s %" PRIu64, note->other,
                 note->found);
        snprintf(finding->got, sizeof(finding->got), "%" PRIu64, note->bytes);
    }
    if (note->kind != READER_TRUNCATED)
        return;
    snprintf(finding->expected, sizeof(finding->expected), "%" PRIu64 " bytes",
             note->bytes);
    snprintf(finding->got, sizeof(finding->got), "%" PRIu64 " bytes", note->found);
}

static void add_notes(struct file_findings *findings, const struct reader_note *notes,
                      size_t count, enum trit_severity of_shards)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = notes[i].tensor ? notes[i].tensor : notes[i].shard;
        struct trit_finding *added =
            findings_add(findings, kind_of(&notes[i]), NULL, name);

        if (!added)
            continue;
        if (notes[i].kind == READER_ONE_OF_SHARDS)
            added->severity = of_shards;
        added->has_count = notes[i].count > 0;
        added->count = notes[i].count;
        write_hint(added, &notes[i]);
        write_length(added, &notes[i]);
    }
}

void findings_add_notes(struct file_findings *findings, const struct reader_note *notes,
                        size_t count)
{
    add_notes(findings, notes, count, TRIT_SEVERITY_WARNING);
}

void findings_add_notes_of_claim(struct file_findings *findings,
                                 const struct reader_note *notes, size_t count)
{
    add_notes(findings, notes, count, TRIT_SEVERITY_UNDECIDED);
}
