/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/output.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/config_write.h"
#include "files/folder.h"

/* Two names of one file: the same path, a link to it, another spelling. */
static bool same_file(const char *a, const char *b)
{
    struct stat left, right;

    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

static bool ends_with(const char *name, const char *ending)
{
    const size_t length = strlen(name), bytes = strlen(ending);

    return length > bytes && strcmp(name + length - bytes, ending) == 0;
}

/* Does the path say that it is a file, not a folder? */
static bool names_file(const char *path)
{
    return ends_with(path, ".safetensors") || ends_with(path, ".npy");
}

enum exit_code output_check(const char *command, const struct options *options,
                            const char *input)
{
    const char *path = options->output;
    const char *other = writer_other_format(path);
    struct stat there, link;

    if (strcmp(path, "-") == 0)
        return complain(USAGE, "%s: -o - : weights go to a file, not to standard output",
                        command);
    if (other)
        return complain(USAGE,
                        "%s: -o %s: the name says %s, but safetensors or .npy is written",
                        command, path, other);
    if (input && same_file(path, input))
        return complain(USAGE, "%s: -o %s: it is the input itself; name another file",
                        command, path);
    if (lstat(path, &there) != 0)
        return DONE;
    link = there;
    /* A link to a device or a folder stands for that, not for a file. */
    if (S_ISLNK(there.st_mode) && stat(path, &there) != 0)
        there.st_mode = S_IFREG;
    const bool folders = input && (folder_is(input) || ends_with(input, ".index.json"));
    if (!S_ISREG(there.st_mode) && !(folders && S_ISDIR(there.st_mode) &&
                                     !S_ISLNK(link.st_mode) && !names_file(path)))
        return complain(USAGE, "%s: -o %s: it is not a regular file", command, path);
    if (!option_given(options, OPTION_FORCE))
        return complain(USAGE, "%s: -o %s: it exists already; --force replaces it",
                        command, path);
    return DONE;
}

enum target_mode output_mode(const struct options *options)
{
    return option_given(options, OPTION_FORCE) ? TARGET_REPLACE : TARGET_NEW;
}

/* ---- folders ----------------------------------------------------------------------- */

bool output_is_folder(const char *path, const struct input *input)
{
    return reader_is_folder(input->reader) && !names_file(path);
}

/* Weights in any format, their indices, and config.json, which is written anew. */
static bool is_carried_over(const char *name)
{
    static const char *const left[] = {
        ".safetensors", ".index.json", ".bin", ".pt",  ".pth",     ".ckpt", ".gguf",
        ".onnx",        ".h5",         ".npz", ".npy", ".msgpack", ".pkl",
    };

    if (name[0] == '.' || strcmp(name, "config.json") == 0)
        return false;
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        if (ends_with(name, left[i]))
            return false;
    return true;
}

struct carried {
    struct folder_names names;
    struct folder_copy *copies;
    size_t count;
};

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static int carry(struct carried *carried, const char *folder, struct failure *failure)
{
    if (folder_names_read(&carried->names, folder, failure) < 0)
        return -1;
    carried->copies = calloc(carried->names.count + 1, sizeof(*carried->copies));
    if (!carried->copies)
        return no_memory(failure);
    for (size_t i = 0; i < carried->names.count; i++) {
        const char *name = carried->names.names[i];

        if (!is_carried_over(name))
            continue;
        carried->copies[carried->count] =
            (struct folder_copy){folder_path(folder, name), name};
        if (!carried->copies[carried->count++].from)
            return no_memory(failure);
    }
    return 0;
}

static void carried_fini(struct carried *carried)
{
    for (size_t i = 0; i < carried->count; i++)
        free((char *)(uintptr_t)carried->copies[i].from);
    free(carried->copies);
    folder_names_fini(&carried->names);
}

/* config.json of the output; *text stays NULL where the input has none. */
static int write_config(const struct plan *plan, const char *folder, char **text,
                        struct failure *failure)
{
    char *input = NULL;
    size_t bytes = 0;
    int found = folder_read_text(folder, "config.json", &input, &bytes, failure);

    if (found > 0)
        found = config_write(plan, input, bytes, text, failure);
    free(input);
    return found < 0 ? -1 : 0;
}

static int open_folder(struct writer **writer, const struct options *options,
                       const struct input *input, struct plan *plan,
                       struct failure *failure)
{
    const char *folder = reader_folder(input->reader);
    struct carried carried = {.count = 0};
    char *config = NULL;
    int result = carry(&carried, folder, failure);

    if (result == 0)
        result = write_config(plan, folder, &config, failure);
    if (result == 0) {
        const struct folder_text text = {"config.json", config,
                                         config ? strlen(config) : 0};
        const struct folder_options how = {
            .shard_bytes_max = options->shard_bytes,
            .copies = carried.copies,
            .copy_count = carried.count,
            .texts = &text,
            .text_count = config ? 1 : 0,
        };

        result = writer_create_folder(writer, options->output, output_mode(options),
                                      &plan->table, &how, failure);
    }
    free(config);
    carried_fini(&carried);
    return result;
}

int output_open(struct writer **writer, const struct options *options,
                const struct input *input, struct plan *plan, struct failure *failure)
{
    if (output_is_folder(options->output, input))
        return open_folder(writer, options, input, plan, failure);
    return writer_create(writer, options->output, output_mode(options), &plan->table,
                         failure);
}
