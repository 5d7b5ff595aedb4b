/* SPDX-License-Identifier: Apache-2.0 */
/* PKWARE's APPNOTE.TXT, sections 4.3 and 4.5: the end of the directory, which zip64 has too;
 * the directory; before each member a local header. */
#include "files/zip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_BYTES = 22,
    COMMENT_BYTES_MAX = 65535,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1,
};

struct directory {
    uint64_t at, bytes, entries;
};

static int malformed(struct failure *failure, const char *what)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "zip archive: %s", what);
}

/* Little-endian. */
static uint64_t number(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = count; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static bool is_at(const uint8_t *bytes, const char *signature)
{
    return memcmp(bytes, signature, 4) == 0;
}

/* Numbers that do not fit are all ones, and a second end has them. */
static int find_directory64(struct source *source, uint64_t end,
                            struct directory *directory, struct failure *failure)
{
    uint8_t locator[LOCATOR_BYTES], end64[END64_BYTES];

    if (end < LOCATOR_BYTES ||
        source_read(source, end - LOCATOR_BYTES, locator, LOCATOR_BYTES, failure) < 0)
        return malformed(failure, "its end is cut off");
    const uint64_t at = number(locator + 8, 8);
    if (!is_at(locator, "PK\6\7") || at > end || end - at < END64_BYTES)
        return malformed(failure, "it has no end of zip64");
    if (source_read(source, at, end64, END64_BYTES, failure) < 0)
        return -1;
    if (!is_at(end64, "PK\6\6"))
        return malformed(failure, "it has no end of zip64");
    *directory = (struct directory){number(end64 + 48, 8), number(end64 + 40, 8),
                                    number(end64 + 32, 8)};
    return 0;
}

static int find_directory(struct source *source, struct directory *directory,
                          struct failure *failure)
{
    const uint64_t size = source_bytes(source);
    const size_t count = size < END_BYTES + COMMENT_BYTES_MAX
                             ? (size_t)size
                             : END_BYTES + COMMENT_BYTES_MAX;
    uint8_t *tail = malloc(count + 1);
    size_t at = count;
    int result = 0;

    if (!tail)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (source_read(source, size - count, tail, count, failure) < 0) {
        free(tail);
        return -1;
    }
    for (size_t i = count < END_BYTES ? 0 : count - END_BYTES + 1; i > 0; i--)
        if (is_at(tail + i - 1, "PK\5\6") &&
            i - 1 + END_BYTES + number(tail + i - 1 + 20, 2) == count) {
            at = i - 1;
            break;
        }
    if (at == count) {
        result = malformed(failure, "it has no directory; it was cut off");
    } else {
        const uint8_t *end = tail + at;

        *directory = (struct directory){number(end + 16, 4), number(end + 12, 4),
                                        number(end + 10, 2)};
        if (directory->at == UINT32_MAX || directory->bytes == UINT32_MAX ||
            directory->entries == UINT16_MAX)
            result = find_directory64(source, size - count + at, directory, failure);
    }
    free(tail);
    if (result == 0 && (directory->at > size || directory->bytes > size - directory->at))
        return malformed(failure, "its directory ends beyond its end");
    return result;
}

/* The sizes and the offset of an entry; zip64 has them in an extra field, in this order, each
 * if it is all ones in the entry. */
static int take_sizes(const uint8_t *entry, const uint8_t *extra, size_t extra_bytes,
                      uint64_t sizes[3], struct failure *failure)
{
    sizes[0] = number(entry + 24, 4);
    sizes[1] = number(entry + 20, 4);
    sizes[2] = number(entry + 42, 4);
    for (size_t at = 0; at + 4 <= extra_bytes;) {
        const size_t count = number(extra + at + 2, 2);
        size_t place = at + 4;

        if (count > extra_bytes - place)
            break;
        for (size_t i = 0; number(extra + at, 2) == EXTRA_ZIP64 && i < 3; i++)
            if (sizes[i] == UINT32_MAX && place + 8 <= at + 4 + count) {
                sizes[i] = number(extra + place, 8);
                place += 8;
            }
        at += 4 + count;
    }
    return sizes[0] == sizes[1] ? 0 : malformed(failure, "sizes of a member differ");
}

static int take_member(struct source *source, const uint8_t *entry, size_t name_bytes,
                       size_t extra_bytes, struct zip_member *member,
                       struct failure *failure)
{
    const uint64_t size = source_bytes(source);
    uint8_t local[LOCAL_BYTES];
    uint64_t sizes[3];

    if (number(entry + 8, 2) & FLAG_ENCRYPTED)
        return malformed(failure, "a member is encrypted");
    if (number(entry + 10, 2) != 0)
        return malformed(failure, "a member is compressed; Keras stores its weights "
                                  "uncompressed");
    if (take_sizes(entry, entry + ENTRY_BYTES + name_bytes, extra_bytes, sizes, failure) <
        0)
        return -1;
    if (sizes[2] > size || size - sizes[2] < LOCAL_BYTES)
        return malformed(failure, "a member begins beyond its end");
    if (source_read(source, sizes[2], local, LOCAL_BYTES, failure) < 0)
        return -1;
    if (!is_at(local, "PK\3\4") || number(local + 26, 2) != name_bytes)
        return malformed(failure, "directory and member contradict each other");
    member->offset = sizes[2] + LOCAL_BYTES + name_bytes + number(local + 28, 2);
    member->bytes = sizes[0];
    if (member->offset > size || member->bytes > size - member->offset)
        return malformed(failure, "a member ends beyond its end");
    return 0;
}

static int find_entry(struct source *source, const uint8_t *bytes,
                      const struct directory *directory, const char *name,
                      struct zip_member *member, struct failure *failure)
{
    size_t at = 0;
    int found = 0;

    for (uint64_t i = 0; i < directory->entries; i++) {
        const uint8_t *entry = bytes + at;
        const size_t left = (size_t)directory->bytes - at;

        if (left < ENTRY_BYTES || !is_at(entry, "PK\1\2"))
            return malformed(failure, "its directory is malformed");
        const size_t name_bytes = number(entry + 28, 2);
        const size_t extra_bytes = number(entry + 30, 2);
        const size_t all = ENTRY_BYTES + name_bytes + extra_bytes + number(entry + 32, 2);
        if (all > left)
            return malformed(failure, "its directory is malformed");
        if (name_bytes == strlen(name) &&
            memcmp(entry + ENTRY_BYTES, name, name_bytes) == 0) {
            if (found)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "zip archive: it has %s twice", name);
            found = 1;
            if (take_member(source, entry, name_bytes, extra_bytes, member, failure) < 0)
                return fail_context(failure, "%s", name);
        }
        at += all;
    }
    return found;
}

int zip_find(struct source *source, const char *name, uint64_t bytes_max,
             struct zip_member *member, struct failure *failure)
{
    struct directory directory = {.at = 0};
    uint8_t *bytes;
    int found;

    if (find_directory(source, &directory, failure) < 0)
        return -1;
    if (directory.bytes > bytes_max)
        return malformed(failure, "its directory is too large");
    bytes = malloc((size_t)directory.bytes + 1);
    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    found = source_read(source, directory.at, bytes, directory.bytes, failure);
    if (found == 0)
        found = find_entry(source, bytes, &directory, name, member, failure);
    free(bytes);
    return found;
}
