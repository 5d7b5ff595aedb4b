/* SPDX-License-Identifier: Apache-2.0 */
#include "files/gguf_split.h"

#include "base/number.h"

static const char COUNT[] = "split.count";
static const char NUMBER[] = "split.no";
static const char TENSORS[] = "split.tensors.count";

/* False: there is no such key, or its value is no number. */
static bool take(const struct tensor_table *part, const char *key, uint64_t *value)
{
    const char *text = table_pair(part, key);

    return text && parse_u64(text, UINT64_MAX, value);
}

static int note(struct reader_notes *notes, const char *name, const char *key,
                uint64_t said, uint64_t found, struct failure *failure)
{
    const struct reader_note disagrees = {.kind = READER_SPLIT_DISAGREES,
                                          .shard = name,
                                          .other = key,
                                          .bytes = said,
                                          .found = found};

    return reader_notes_add(notes, NULL, disagrees, failure);
}

int gguf_split_take(struct gguf_split *split, const struct tensor_table *part,
                    const char *name, size_t number, struct reader_notes *notes,
                    struct failure *failure)
{
    uint64_t count, said;

    split->parts++;
    split->tensors += part->count + part->cut_count;
    /* A file that was merged from parts keeps the keys, with 0 or 1 parts. */
    if (!take(part, COUNT, &count) || (count < 2 && split->files == 1)) {
        if (!split->without)
            split->without = name;
        return 0;
    }
    if (!split->with)
        split->with = name;
    if (count != split->files &&
        note(notes, name, COUNT, count, split->files, failure) < 0)
        return -1;
    if (take(part, NUMBER, &said) && said != number && split->files > 1 &&
        note(notes, name, NUMBER, said, number, failure) < 0)
        return -1;
    if (!split->promised_by && take(part, TENSORS, &said)) {
        split->promised_by = name;
        split->promised = said;
    }
    return 0;
}

int gguf_split_end(const struct gguf_split *split, struct reader_notes *notes,
                   struct failure *failure)
{
    if (split->parts != split->files)
        return 0;
    if (split->with && split->without && /* a key that is not there says 0 */
        note(notes, split->without, COUNT, 0, split->files, failure) < 0)
        return -1;
    return split->promised_by && split->promised != split->tensors
               ? note(notes, split->promised_by, TENSORS, split->promised, split->tensors,
                      failure)
               : 0;
}
