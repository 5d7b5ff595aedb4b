/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, with the name of a file in it. */
#ifndef TESTS_FILES_PLACE_H
#define TESTS_FILES_PLACE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"

enum { TEXT_BYTES = 128 };

struct place {
    char folder[64];
    char path[96];
};

static inline void place_init(struct place *place)
{
    strcpy(place->folder, "/tmp/test_writer_XXXXXX");
    CHECK(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/out.safetensors", place->folder);
}

static inline size_t files_in(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    struct dirent *entry;

    CHECK(dir);
    while ((entry = readdir(dir)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static inline void place_fini(struct place *place)
{
    unlink(place->path);
    CHECK(rmdir(place->folder) == 0);
}

static inline void put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

static inline const char *get_text(const char *path, char text[TEXT_BYTES])
{
    FILE *file = fopen(path, "r");
    size_t count;

    if (!file)
        return "(absent)";
    count = fread(text, 1, TEXT_BYTES - 1, file);
    text[count] = '\0';
    fclose(file);
    return text;
}

#endif
