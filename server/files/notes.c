/* SPDX-License-Identifier: Apache-2.0 */
#include "files/notes.h"

#include <string.h>

#include "base/array.h"
#include "files/table.h"

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int reader_notes_add(struct reader_notes *notes, struct arena *strings,
                     struct reader_note note, struct failure *failure)
{
    struct reader_note *larger =
        array_grow(notes->list, &notes->capacity, notes->count + 1, sizeof(*larger));

    if (!larger)
        return no_memory(failure);
    notes->list = larger;
    if (note.tensor) {
        note.tensor = arena_strndup(strings, note.tensor, strlen(note.tensor));
        if (!note.tensor)
            return no_memory(failure);
    }
    notes->list[notes->count++] = note;
    return 0;
}

int reader_notes_add_cuts(struct reader_notes *notes, struct arena *strings,
                          const struct tensor_table *table, const char *name,
                          struct failure *failure)
{
    for (size_t i = 0; i < table->cut_count; i++) {
        const struct tensor_cut *cut = &table->cuts[i];
        const struct reader_note note = {.kind = READER_TRUNCATED,
                                         .tensor = cut->name,
                                         .shard = name,
                                         .bytes = cut->bytes,
                                         .found = cut->found};

        if (reader_notes_add(notes, strings, note, failure) < 0)
            return -1;
    }
    return 0;
}
