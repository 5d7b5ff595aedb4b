/* SPDX-License-Identifier: Apache-2.0 */
#include "files/sources.h"

#include <pthread.h>
#include <stdlib.h>

#include "files/folder.h"

struct entry {
    struct source *source; /* NULL: there is none */
    unsigned readers;      /* threads that read it now */
    uint64_t used;         /* the clock at the last use */
};

struct sources {
    pthread_mutex_t lock;
    size_t count, open;
    uint64_t clock;
    struct source *watched; /* at rest: its path is looked at; NULL: there is none */
    struct entry entries[];
};

struct sources *sources_create(size_t count)
{
    struct sources *sources =
        count < PTRDIFF_MAX / sizeof(struct entry) - 1
            ? calloc(1, sizeof(*sources) + count * sizeof(struct entry))
            : NULL;

    if (!sources)
        return NULL;
    pthread_mutex_init(&sources->lock, NULL);
    sources->count = count;
    return sources;
}

void sources_destroy(struct sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < sources->count; i++)
        source_close(sources->entries[i].source);
    source_close(sources->watched);
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

/* Closes the one that was read longest ago, if one is open that nobody reads. */
static void close_oldest(struct sources *sources)
{
    struct entry *oldest = NULL;

    for (size_t i = 0; i < sources->count; i++) {
        struct entry *entry = &sources->entries[i];

        if (entry->source && entry->readers == 0 && source_is_open(entry->source) &&
            (!oldest || entry->used < oldest->used))
            oldest = entry;
    }
    if (oldest && source_rest(oldest->source))
        sources->open--;
}

void sources_put(struct sources *sources, size_t index, struct source *source)
{
    pthread_mutex_lock(&sources->lock);
    if (sources->open >= SOURCES_OPEN_MAX)
        close_oldest(sources);
    sources->open++;
    sources->entries[index] = (struct entry){source, 0, ++sources->clock};
    pthread_mutex_unlock(&sources->lock);
}

const struct source *sources_at(const struct sources *sources, size_t index)
{
    return sources->entries[index].source;
}

static int take(struct sources *sources, struct entry *entry, struct failure *failure)
{
    int result = 0;

    pthread_mutex_lock(&sources->lock);
    if (!source_is_open(entry->source)) {
        if (sources->open >= SOURCES_OPEN_MAX)
            close_oldest(sources);
        result = source_wake(entry->source, failure);
        sources->open += result == 0;
    }
    entry->readers += result == 0;
    entry->used = ++sources->clock;
    pthread_mutex_unlock(&sources->lock);
    return result;
}

static void give_back(struct sources *sources, struct entry *entry)
{
    pthread_mutex_lock(&sources->lock);
    entry->readers--;
    pthread_mutex_unlock(&sources->lock);
}

int sources_read(struct sources *sources, size_t index, uint64_t offset, void *buffer,
                 uint64_t count, struct failure *failure)
{
    struct entry *entry = &sources->entries[index];
    int result;

    if (take(sources, entry, failure) < 0)
        return -1;
    result = source_read(entry->source, offset, buffer, count, failure);
    give_back(sources, entry);
    return result;
}

bool sources_try_read(struct sources *sources, size_t index, uint64_t offset,
                      void *buffer, uint64_t count)
{
    struct entry *entry = &sources->entries[index];
    bool result;

    if (take(sources, entry, NULL) < 0)
        return false;
    result = source_try_read(entry->source, offset, buffer, count);
    give_back(sources, entry);
    return result;
}

int sources_watch(struct sources *sources, const char *folder, const char *name,
                  struct failure *failure)
{
    char *path = folder_path(folder, name);

    if (!path)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (source_open(&sources->watched, path, NULL) == 0)
        source_rest(sources->watched);
    free(path);
    return 0;
}

int sources_unchanged(struct sources *sources, struct failure *failure)
{
    int result = 0;

    pthread_mutex_lock(&sources->lock);
    for (size_t i = 0; result == 0 && i < sources->count; i++)
        if (sources->entries[i].source)
            result = source_unchanged(sources->entries[i].source, failure);
    if (result == 0 && sources->watched)
        result = source_unchanged(sources->watched, failure);
    pthread_mutex_unlock(&sources->lock);
    return result;
}

int sources_unchanged_at(struct sources *sources, size_t index, struct failure *failure)
{
    pthread_mutex_lock(&sources->lock);
    const int result = source_unchanged(sources->entries[index].source, failure);
    pthread_mutex_unlock(&sources->lock);
    return result;
}

int sources_in_place(struct sources *sources, struct failure *failure)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < sources->count; i++)
        if (sources->entries[i].source)
            result = source_in_place(sources->entries[i].source, failure);
    return result;
}
