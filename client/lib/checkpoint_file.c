/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and reads files of tensors. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/client.h"
#include "client/lib/file.h"
#include "files/folder.h"

/* A malformed config.json is an error in a folder. Next to a single file it may belong to
 * something else and is ignored. */
static int read_config(struct trit_file *file, struct failure *failure)
{
    struct failure why = {.status = TRIT_OK};
    char *text = NULL;
    size_t bytes = 0;
    int found =
        folder_read_text(reader_folder(file->reader), "config.json", &text, &bytes, &why);

    if (found > 0) {
        found = model_config_read(&file->checkpoint.config, text, bytes, &why);
        file->checkpoint.has_config = found == 0;
    }
    free(text);
    if (found >= 0 ||
        (why.status != TRIT_RESOURCE_EXHAUSTED && !reader_is_folder(file->reader)))
        return 0;
    return fail(failure, why.status, "path", "config.json: %s", why.message);
}

static int file_init(struct trit_file *file, const char *path,
                     const struct trit_file_options *options, struct failure *failure)
{
    const struct read_options read = {.void2_is_bf16 = options->npy_bf16,
                                      .may_be_cut = options->may_be_cut};

    file->path = strdup(path);
    if (!file->path)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (reader_open(&file->reader, path, &read, failure) < 0 ||
        read_config(file, failure) < 0)
        return fail_context(failure, "%s", path);
    file->checkpoint.table = reader_table(file->reader);
    file->checkpoint.reader = file->reader;
    file->checkpoint.sealed = true;
    return 0;
}

enum trit_status trit_file_open(struct trit_file **file, const char *path,
                                const struct trit_file_options *options,
                                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_file_options given;
    struct trit_file *made = NULL;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!file || !path) {
        fail_null(&failure, !file ? "file" : "path");
    } else if (sized_take_optional(&sized_file_options, "options", options, &given,
                                   &failure) == 0) {
        made = calloc(1, sizeof(*made));
        if (!made)
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        else if (file_init(made, path, &given, &failure) == 0) {
            *file = made;
            made = NULL;
        }
    }
    trit_file_close(made);
    return client_answer(&failure, error);
}

void trit_file_close(struct trit_file *file)
{
    if (!file)
        return;
    reader_close(file->reader);
    model_config_fini(&file->checkpoint.config);
    free(file->path);
    free(file);
}

struct trit_checkpoint *trit_file_checkpoint(struct trit_file *file)
{
    return file ? &file->checkpoint : NULL;
}

bool trit_file_is_folder(const struct trit_file *file)
{
    return file && reader_is_folder(file->reader);
}

static int read_bytes(const struct trit_file *file, const char *tensor, uint64_t offset,
                      void *buffer, uint64_t bytes, struct failure *failure)
{
    size_t index;

    if (checkpoint_find(file->checkpoint.table, tensor, &index, failure) < 0)
        return -1;
    const struct tensor_entry *entry = &file->checkpoint.table->entries[index];
    if (offset > entry->bytes || bytes > entry->bytes - offset)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "bytes",
                          "%" PRIu64 " from %" PRIu64 " of %s, which has %" PRIu64, bytes,
                          offset, tensor, entry->bytes);
    return reader_read(file->reader, entry, offset, buffer, bytes, failure);
}

enum trit_status trit_file_read(struct trit_file *file, const char *tensor,
                                uint64_t offset, void *buffer, uint64_t bytes,
                                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!file || !tensor || (!buffer && bytes))
        fail_null(&failure, !file ? "file" : !tensor ? "tensor" : "buffer");
    else
        read_bytes(file, tensor, offset, buffer, bytes, &failure);
    return client_answer(&failure, error);
}

enum trit_status trit_file_unchanged(const struct trit_file *file,
                                     struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!file)
        fail_null(&failure, "file");
    else
        reader_unchanged(file->reader, &failure);
    return client_answer(&failure, error);
}
