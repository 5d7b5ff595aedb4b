/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/heads.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "files/folder.h"
#include "files/table.h"

enum {
    /* A header of safetensors has at least 50 bytes a tensor; the layers of a model have some
     * 80. With those the peak of Inspect was 36 bytes for each byte of the header, of Plan 70,
     * of Verify 80. */
    SAFETENSORS_FACTOR = 80,
    JSON_FACTOR = 8, /* of the text: a document of jansson */
    ENTRY_BYTES = 2 << 10,
    PAIRS_MAX = FILES_PAIRS_MAX,
    OTHER_BYTES_MAX = 32 << 20, /* of the heads of other formats */
    HEAD_BYTES = 24,
};

static bool ends_with(const char *name, const char *end)
{
    const size_t bytes = strlen(name), end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(name + bytes - end_bytes, end) == 0;
}

static uint64_t number_at(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (int i = 7; i >= 0; i--)
        number = number << 8 | bytes[i];
    return number;
}

/* The file's beginning says what it is, not its name. */
static uint64_t file_bytes(int file, uint64_t size)
{
    const uint64_t header_max = u64_min(size, FILES_HEADER_BYTES_MAX);
    uint8_t head[HEAD_BYTES] = {0};

    if (pread(file, head, sizeof(head), 0) < 9)
        return 0;
    if (memcmp(head, "GGUF", 4) == 0)
        return header_max +
               ENTRY_BYTES *
                   (u64_min(number_at(head + 8), u64_min(FILES_TENSORS_MAX, size / 24)) +
                    u64_min(number_at(head + 16), PAIRS_MAX));
    if (head[8] == '{')
        return SAFETENSORS_FACTOR * u64_min(number_at(head), header_max);
    return u64_min(size, OTHER_BYTES_MAX);
}

static uint64_t name_bytes(int folder, const char *name, bool tokenizer)
{
    const bool is_json =
        strcmp(name, "config.json") == 0 || ends_with(name, ".index.json") ||
        (tokenizer && strncmp(name, "tokenizer", 9) == 0 && ends_with(name, ".json"));
    const bool is_shard = ends_with(name, ".safetensors") || ends_with(name, ".gguf");
    struct stat about;
    uint64_t bytes = 0;
    int file;

    if (!is_json && !is_shard)
        return 0;
    file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return 0;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        bytes = is_json ? JSON_FACTOR *
                              u64_min((uint64_t)about.st_size, FOLDER_TEXT_BYTES_MAX)
                        : file_bytes(file, (uint64_t)about.st_size);
    }
    close(file);
    return bytes;
}

/* Takes over `file`. */
static uint64_t folder_bytes(int file, bool tokenizer)
{
    DIR *stream = fdopendir(file);
    const struct dirent *entry;
    uint64_t bytes = 0;
    size_t count = 0;

    if (!stream) {
        close(file);
        return 0;
    }
    while (count++ < FOLDER_NAMES_MAX && (entry = readdir(stream)))
        bytes += name_bytes(dirfd(stream), entry->d_name, tokenizer);
    closedir(stream);
    return bytes;
}

uint64_t heads_bytes(const char *path, bool tokenizer)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat about;
    uint64_t bytes = 0;

    if (file < 0)
        return 0;
    if (fstat(file, &about) < 0) {
        close(file);
        return 0;
    }
    if (S_ISDIR(about.st_mode))
        return folder_bytes(file, tokenizer);
    if (S_ISREG(about.st_mode) && about.st_size > 0)
        bytes = file_bytes(file, (uint64_t)about.st_size);
    close(file);
    return bytes;
}
