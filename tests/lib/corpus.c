/* SPDX-License-Identifier: Apache-2.0 */
#include "corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 1024 };

static long replay_file(const char *path, size_t size, corpus_target *target)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    uint8_t *data = malloc(size ? size : 1);
    size_t count = data ? fread(data, 1, size, file) : 0;
    fclose(file);
    if (data && count == size)
        target(data, size);
    free(data);
    return data && count == size ? 1 : -1;
}

static long replay_folder(const char *path, corpus_target *target)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    long ran = 0;
    if (!folder)
        return -1;
    while (ran >= 0 && (entry = readdir(folder))) {
        char name[PATH_BYTES_MAX];
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        long more = length < PATH_BYTES_MAX ? corpus_replay(name, target) : -1;
        ran = more < 0 ? -1 : ran + more;
    }
    closedir(folder);
    return ran;
}

long corpus_replay(const char *path, corpus_target *target)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return -1;
    if (S_ISDIR(about.st_mode))
        return replay_folder(path, target);
    return replay_file(path, (size_t)about.st_size, target);
}
