/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of weights in a folder of the test's own, and what a command prints. */
#ifndef TESTS_CLI_FILES_H
#define TESTS_CLI_FILES_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "tests/lib/check.h"

enum { PATH_BYTES = 128, PRINTED_BYTES = 16384 };

enum { FOLDERS_MAX = 32 };

static char folders[FOLDERS_MAX][PATH_BYTES];
static size_t folder_count;

static inline int remove_one(const char *path, const struct stat *status, int type,
                             struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

__attribute__((destructor)) static void remove_folders(void)
{
    for (size_t i = 0; i < folder_count; i++)
        nftw(folders[i], remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A new folder, which goes with the process. */
static inline const char *folder_new(void)
{
    CHECK(folder_count < FOLDERS_MAX);
    char *path = folders[folder_count++];

    snprintf(path, PATH_BYTES, "/tmp/trit-cli-XXXXXX");
    CHECK(mkdtemp(path));
    return path;
}

/* "FOLDER/NAME"; eight of them live at a time. */
static inline const char *path_in(const char *folder, const char *name)
{
    static char paths[8][2 * PATH_BYTES];
    static size_t count;
    char *path = paths[count++ % 8];

    snprintf(path, 2 * PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");

    CHECK(file);
    CHECK(fwrite(bytes, 1, count, file) == count);
    CHECK(fclose(file) == 0);
}

/* A safetensors file of this header and these data. */
static inline void write_tensors(const char *path, const char *header, const void *data,
                                 size_t bytes)
{
    const uint64_t length = strlen(header);
    char *file = malloc(8 + length + bytes);

    CHECK(file);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(length >> 8 * i);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, data, bytes);
    write_bytes(path, file, 8 + length + bytes);
    free(file);
}

/* "l.weight", F32 [2, columns]. */
static inline void write_layer(const char *path, const float *values, unsigned columns)
{
    char header[128];

    snprintf(
        header, sizeof(header),
        "{\"l.weight\":{\"dtype\":\"F32\",\"shape\":[2,%u],\"data_offsets\":[0,%u]}}",
        columns, 8 * columns);
    write_tensors(path, header, values, (size_t)8 * columns);
}

/* Standard output and error, which go to a file in between. */
struct printed {
    FILE *file;
    int output, error; /* what they were */
};

static inline void print_begin(struct printed *printed)
{
    fflush(stdout);
    fflush(stderr);
    printed->file = tmpfile();
    CHECK(printed->file);
    printed->output = dup(STDOUT_FILENO);
    printed->error = dup(STDERR_FILENO);
    dup2(fileno(printed->file), STDOUT_FILENO);
    dup2(fileno(printed->file), STDERR_FILENO);
}

/* Everything that was printed; valid until the next call. */
static inline const char *print_end(struct printed *printed)
{
    static char text[PRINTED_BYTES];

    fflush(stdout);
    fflush(stderr);
    dup2(printed->output, STDOUT_FILENO);
    dup2(printed->error, STDERR_FILENO);
    close(printed->output);
    close(printed->error);
    rewind(printed->file);
    text[fread(text, 1, sizeof(text) - 1, printed->file)] = '\0';
    fclose(printed->file);
    return text;
}

#define CHECK_IN(text, word)                                                             \
    do {                                                                                 \
        const char *text_ = (text);                                                      \
        if (!strstr(text_, word))                                                        \
            check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word, text_);    \
    } while (0)

#endif
