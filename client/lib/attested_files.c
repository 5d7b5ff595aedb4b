/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/attested_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/number.h"
#include "files/folder.h"
#include "files/source.h"
#include "tls/sha256.h"

enum { PIECE_BYTES = 1 << 20 };

struct hashing {
    struct attested_list *list;
    struct sha256 *hash;
    void *buffer;
    struct failure *failure;
};

typedef int (*read_fn)(void *from, size_t number, uint64_t offset, void *buffer,
                       uint64_t count, struct failure *failure);

static int hash_file(struct hashing *h, const char *name, uint64_t bytes, read_fn read,
                     void *from, size_t number)
{
    uint8_t digest[TRIT_DIGEST_BYTES];

    for (uint64_t at = 0; at < bytes; at += PIECE_BYTES) {
        const uint64_t count = u64_min(PIECE_BYTES, bytes - at);

        if (read(from, number, at, h->buffer, count, h->failure) < 0 ||
            sha256_add(h->hash, h->buffer, (size_t)count, h->failure) < 0)
            return -1;
    }
    sha256_take(h->hash, digest);
    return attested_add(h->list, name, digest, NULL, h->failure);
}

static int read_tensors(void *from, size_t number, uint64_t offset, void *buffer,
                        uint64_t count, struct failure *failure)
{
    return reader_file_read(from, number, offset, buffer, count, failure);
}

static int read_other(void *from, size_t number, uint64_t offset, void *buffer,
                      uint64_t count, struct failure *failure)
{
    (void)number;
    return source_read(from, offset, buffer, count, failure);
}

static int read_kept(void *from, size_t number, uint64_t offset, void *buffer,
                     uint64_t count, struct failure *failure)
{
    const struct read_text *kept = from;

    (void)number, (void)failure;
    memcpy(buffer, kept->text + offset, (size_t)count);
    return 0;
}

/* Index and config.json, as they were read to know what the tensors are. */
enum { KEPT_TEXTS = 2 };
struct kept_texts {
    struct read_text list[KEPT_TEXTS];
    size_t count;
};

static int hash_kept(struct hashing *h, struct kept_texts *kept)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < kept->count; i++)
        if (kept->list[i].text)
            result = hash_file(h, kept->list[i].name, kept->list[i].bytes, read_kept,
                               &kept->list[i], 0);
    return result;
}

static const struct read_text *kept_text(const struct kept_texts *kept, const char *name)
{
    for (size_t i = 0; i < kept->count; i++)
        if (strcmp(kept->list[i].name, name) == 0)
            return &kept->list[i];
    return NULL;
}

/* A file that the reader did not open, such as the tokenizer's. */
static int hash_other(struct hashing *h, const char *name, const char *path)
{
    struct source *source = NULL;
    int result = source_open(&source, path, h->failure);

    if (result == 0)
        result = hash_file(h, name, source_bytes(source), read_other, source, 0);
    if (result == 0)
        result = source_unchanged(source, h->failure);
    source_close(source);
    return result < 0 ? fail_context(h->failure, "%s", name) : 0;
}

static int hash_tensor_files(struct hashing *h, struct reader *reader)
{
    for (size_t i = 0; i < reader_file_count(reader); i++) {
        const struct source *file = reader_file(reader, i);

        if (file && hash_file(h, source_name(file), source_bytes(file), read_tensors,
                              reader, i) < 0)
            return -1;
    }
    return 0;
}

/* Does the file of this name hold tensors? */
static bool holds_tensors(const struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader_file_count(reader); i++) {
        const struct source *file = reader_file(reader, i);

        if (file && strcmp(source_name(file), name) == 0)
            return true;
    }
    return false;
}

static bool is_same_file(const char *path, const char *except)
{
    struct stat here, there;

    return except && stat(path, &here) == 0 && stat(except, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* The others in the folder; those that were examined are in the list already. */
static int hash_folder(struct hashing *h, const struct reader *reader,
                       const struct kept_texts *kept, const char *except)
{
    const char *folder = reader_folder(reader);
    struct folder_names names;
    int result = folder_names_read(&names, folder, h->failure);

    for (size_t i = 0; result == 0 && i < names.count; i++) {
        char *path = folder_path(folder, names.names[i]);
        const struct read_text *text = kept_text(kept, names.names[i]);

        if (text && !text->text)
            result = fail(h->failure, TRIT_ABORTED, NULL,
                          "%s: it was not there when the file was opened", text->name);
        else if (text)
            result = 0;
        else if (!path)
            result = fail(h->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        else if (!holds_tensors(reader, names.names[i]) && !is_same_file(path, except))
            result = hash_other(h, names.names[i], path);
        free(path);
    }
    folder_names_fini(&names);
    return result;
}

static struct kept_texts kept_of(const struct reader *reader,
                                 const struct model_config *config)
{
    const struct read_text *index = reader_index(reader);
    struct kept_texts kept = {.list = {{"config.json", config->text, config->bytes}},
                              .count = 1};

    if (index)
        kept.list[kept.count++] = *index;
    return kept;
}

int attested_files(struct attested_list *list, struct reader *reader,
                   const struct model_config *config, const char *path,
                   const char *except, struct failure *failure)
{
    struct kept_texts kept = kept_of(reader, config);
    struct hashing h = {.list = list, .buffer = malloc(PIECE_BYTES), .failure = failure};
    int result =
        h.buffer ? 0 : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    if (result == 0)
        result = sha256_create(&h.hash, failure);
    if (result == 0)
        result = hash_tensor_files(&h, reader);
    if (result == 0 && (folder_is(path) || reader_index(reader))) {
        result = hash_kept(&h, &kept);
        if (result == 0)
            result = hash_folder(&h, reader, &kept, except);
    }
    if (result == 0) /* what was hashed is what was verified */
        result = reader_unchanged(reader, failure);
    attested_sort(list);
    sha256_destroy(h.hash);
    free(h.buffer);
    return result;
}

int attestation_read_file(struct attestation *attestation, const char *path,
                          struct failure *failure)
{
    struct source *source = NULL;
    char *text = NULL;
    int result = source_open(&source, path, failure);

    *attestation = (struct attestation){.in_envelope = false};
    if (result == 0 && source_bytes(source) > ATTESTATION_BYTES_MAX)
        result =
            fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                 "a statement of %" PRIu64 " bytes is too large; at most %d are read",
                 source_bytes(source), ATTESTATION_BYTES_MAX);
    const size_t bytes = result == 0 ? (size_t)source_bytes(source) : 0;
    if (result == 0) {
        text = malloc(bytes + 1);
        result = text ? source_read(source, 0, text, bytes, failure)
                      : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (result == 0)
        result = attestation_read(attestation, text, bytes, failure);
    free(text);
    source_close(source);
    return result;
}
