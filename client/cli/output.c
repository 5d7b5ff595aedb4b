/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/output.h"

#include <string.h>
#include <sys/stat.h>

/* Two names of one file: the same path, a link to it, another spelling. */
static bool same_file(const char *a, const char *b)
{
    struct stat left, right;

    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

enum exit_code output_check(const char *command, const struct options *options,
                            const char *input)
{
    const char *path = options->output;
    const char *other = writer_other_format(path);
    struct stat there;

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
    /* A link to a device or a folder stands for that, not for a file. */
    if (S_ISLNK(there.st_mode) && stat(path, &there) != 0)
        there.st_mode = S_IFREG;
    if (!S_ISREG(there.st_mode))
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
