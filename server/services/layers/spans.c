/* SPDX-License-Identifier: Apache-2.0 */
#include "services/layers/spans.h"

void spans_cut(struct spans *spans, struct span *memory, uint32_t count, uint64_t pieces)
{
    *spans = (struct spans){memory, count};
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&memory[i].next, pieces * i / count);
        memory[i].end = pieces * (i + 1) / count;
    }
}

static bool is_taken(const struct span *span)
{
    return atomic_load(&span->next) >= span->end;
}

bool spans_take(struct spans *spans, uint32_t near, uint64_t *piece)
{
    for (uint32_t i = 0; i < spans->count; i++) {
        struct span *span = &spans->all[(near % spans->count + i) % spans->count];

        if (is_taken(span))
            continue;
        *piece = atomic_fetch_add(&span->next, 1);
        if (*piece < span->end)
            return true;
    }
    return false;
}

bool spans_all_taken(const struct spans *spans)
{
    for (uint32_t i = 0; i < spans->count; i++)
        if (!is_taken(&spans->all[i]))
            return false;
    return true;
}

void spans_close(struct spans *spans)
{
    for (uint32_t i = 0; i < spans->count; i++)
        atomic_store(&spans->all[i].next, spans->all[i].end);
}
