/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/output.h"

#include <string.h>
#include <sys/stat.h>

#include "drive/planned.h"
#include "files/folder.h"

static bool names_index(const char *path)
{
    static const char ending[] = ".index.json";
    const size_t length = strlen(path), bytes = sizeof(ending) - 1;

    return length > bytes && strcmp(path + length - bytes, ending) == 0;
}

/* An output that exists must be a regular file; with `folders` it may be a folder. */
static enum exit_code check_place(const char *command, const struct options *options,
                                  const char *input, bool folders)
{
    const char *path = options->output;
    struct stat there, link;

    if (strcmp(path, "-") == 0)
        return complain(USAGE,
                        "%s: -o - : the result goes to a file, not to standard output",
                        command);
    if (input && paths_are_same(path, input))
        return complain(USAGE, "%s: -o %s: it is the input itself; name another file",
                        command, path);
    if (lstat(path, &there) != 0)
        return DONE;
    link = there;
    /* A link to a device or a folder is refused like its target. */
    if (S_ISLNK(there.st_mode) && stat(path, &there) != 0)
        there.st_mode = S_IFREG;
    if (!S_ISREG(there.st_mode) && !(folders && S_ISDIR(there.st_mode) &&
                                     !S_ISLNK(link.st_mode) && !path_names_file(path)))
        return complain(USAGE, "%s: -o %s: it is not a regular file", command, path);
    if (!option_given(options, OPTION_FORCE))
        return complain(USAGE, "%s: -o %s: it exists already; --force replaces it",
                        command, path);
    return DONE;
}

enum exit_code output_check(const char *command, const struct options *options,
                            const char *input)
{
    const char *path = options->output;
    const char *other = writer_other_format(path);

    if (other)
        return complain(
            USAGE,
            "%s: -o %s: the name says %s, but safetensors, .npy or .gguf is written",
            command, path, other);
    return check_place(command, options, input,
                       input && (folder_is(input) || names_index(input)));
}

enum exit_code output_check_text(const char *command, const struct options *options,
                                 const char *input)
{
    return check_place(command, options, input, false);
}

enum exit_code output_refused(const struct options *options,
                              const struct failure *failure)
{
    return complain(failure->field[0] ? USAGE : FAILED, "%s: %s", options->output,
                    failure->message);
}

enum target_mode output_mode(const struct options *options)
{
    return option_given(options, OPTION_FORCE) ? TARGET_REPLACE : TARGET_NEW;
}

int output_open(struct writer **writer, const struct options *options,
                const struct input *input, struct plan *plan, struct failure *failure)
{
    return planned_create(writer, options->output, output_mode(options), plan,
                          input->reader, options->shard_bytes, failure);
}

enum exit_code output_failed(const struct failure *failure)
{
    return failure->status == TRIT_INVALID_ARGUMENT &&
                   strcmp(failure->field, "output") == 0
               ? USAGE
               : FAILED;
}
