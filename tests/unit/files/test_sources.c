/* SPDX-License-Identifier: Apache-2.0 */
/* Files of which few are open at a time. */
#include "files/sources.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/unit/files/place.h"

enum { FILES = 3 * SOURCES_OPEN_MAX, THREADS = 4 };

struct stage {
    struct place place;
    char paths[FILES][160];
    struct sources *sources;
};

/* File i holds "file i". */
static void stage_init(struct stage *stage)
{
    place_init(&stage->place);
    stage->sources = sources_create(FILES);
    CHECK(stage->sources);
    for (int i = 0; i < FILES; i++) {
        struct source *source;
        char text[32];

        snprintf(stage->paths[i], sizeof(stage->paths[i]), "%s/%d", stage->place.folder,
                 i);
        snprintf(text, sizeof(text), "file %2d", i);
        put_text(stage->paths[i], text);
        CHECK(source_open(&source, stage->paths[i], NULL) == 0);
        sources_put(stage->sources, (size_t)i, source);
    }
}

static void stage_fini(struct stage *stage)
{
    sources_destroy(stage->sources);
    for (int i = 0; i < FILES; i++)
        remove(stage->paths[i]);
    place_fini(&stage->place);
}

static int read_one(struct stage *stage, size_t index, struct failure *failure)
{
    char wanted[32], found[32] = "";
    const int bytes = snprintf(wanted, sizeof(wanted), "file %2d", (int)index);
    const int result =
        sources_read(stage->sources, index, 0, found, (uint64_t)bytes, failure);

    return result < 0 ? -1 : strcmp(found, wanted);
}

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* the folder's own */

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

CASE(few_are_open, "all files can be read, and only a few are open")
{
    const int before = open_descriptors();
    struct failure failure = {.status = TRIT_OK};
    struct stage stage;

    stage_init(&stage);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < FILES; i++) {
            CHECK_EQ(read_one(&stage, i, &failure), 0);
            CHECK(open_descriptors() <= before + SOURCES_OPEN_MAX);
        }
    CHECK(sources_unchanged(stage.sources, &failure) == 0);
    stage_fini(&stage);
    CHECK_EQ(open_descriptors(), before);
}

struct reading {
    struct stage *stage;
    uint64_t seed;
    int wrong;
};

static void *read_many(void *arg)
{
    struct reading *reading = arg;

    for (int i = 0; i < 2000; i++)
        reading->wrong |=
            read_one(reading->stage, check_random(&reading->seed) % FILES, NULL);
    return NULL;
}

CASE(threads, "several threads may read at the same time")
{
    struct reading readings[THREADS];
    pthread_t threads[THREADS];
    struct stage stage;

    stage_init(&stage);
    for (uint64_t i = 0; i < THREADS; i++) {
        readings[i] = (struct reading){.stage = &stage, .seed = i};
        CHECK(pthread_create(&threads[i], NULL, read_many, &readings[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(!readings[i].wrong);
    }
    stage_fini(&stage);
}

CASE(replaced_while_opened, "files of which one was replaced were not there together")
{
    struct failure failure = {.status = TRIT_OK};
    struct stage stage;

    stage_init(&stage);
    CHECK(sources_in_place(stage.sources, &failure) == 0);
    put_text(stage.paths[1], "another");
    CHECK(rename(stage.paths[1], stage.paths[FILES - 1]) == 0);
    /* It is still open, and can be read as it was. */
    CHECK_EQ(read_one(&stage, FILES - 1, &failure), 0);
    CHECK(sources_unchanged_at(stage.sources, FILES - 1, &failure) == 0);
    CHECK(sources_in_place(stage.sources, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    stage_fini(&stage);
}

CASE(changed_while_closed, "a file that was replaced while it was closed is not read")
{
    struct failure failure = {.status = TRIT_OK};
    struct stage stage;

    stage_init(&stage);
    CHECK(remove(stage.paths[0]) == 0); /* closed by now */
    put_text(stage.paths[0], "file  0");
    CHECK(read_one(&stage, 0, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    CHECK_STR(failure.message, "0 changed while it was read");
    failure.status = TRIT_OK;
    CHECK(sources_unchanged(stage.sources, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    CHECK(remove(stage.paths[0]) == 0);
    failure.status = TRIT_OK;
    CHECK(read_one(&stage, 0, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    stage_fini(&stage);
}
