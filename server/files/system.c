/* SPDX-License-Identifier: Apache-2.0 */
#include "files/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int fail_errno(struct failure *failure, const char *what)
{
    enum trit_status status =
        errno == ENOSPC || errno == EDQUOT || errno == EFBIG  ? TRIT_RESOURCE_EXHAUSTED
        : errno == EACCES || errno == EPERM || errno == EROFS ? TRIT_PERMISSION_DENIED
        : errno == ENOENT || errno == ENOTDIR                 ? TRIT_NOT_FOUND
                                                              : TRIT_UNAVAILABLE;

    return fail(failure, status, NULL, "cannot %s: %s", what, strerror(errno));
}

int open_output_folder(const char *folder, struct failure *failure)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    return errno == ENOENT ? fail(failure, TRIT_NOT_FOUND, NULL,
                                  "its folder %.512s does not exist; create it", folder)
                           : fail_errno(failure, "open its folder");
}

int reserve_space(int fd, uint64_t bytes, struct failure *failure)
{
    enum { RESERVED_BYTES_MIN = 1 << 20 };
    int result;

    if (bytes < RESERVED_BYTES_MIN)
        return 0;
    do {
        result = fallocate(fd, 0, 0, (off_t)bytes);
    } while (result < 0 && errno == EINTR);
    if (result < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return fail_errno(failure, "reserve space for it");
    return 0;
}

enum { HEX_DIGITS = 8, NAME_KEPT = NAME_MAX - 20 };

static int marked_name(char marked[NAME_MAX], const char *name, const char *mark)
{
    uint32_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -1;
    snprintf(marked, NAME_MAX, ".%.*s%s%08x", NAME_KEPT, name, mark, random);
    return 0;
}

int temporary_name(char temporary[NAME_MAX], const char *name)
{
    return marked_name(temporary, name, TEMPORARY_MARK);
}

int aside_name(char aside[NAME_MAX], const char *name)
{
    return marked_name(aside, name, ".old-");
}

void kept_name(char kept[NAME_MAX], const char *name)
{
    uint32_t hash = 2166136261; /* FNV-1a */

    for (const char *at = name; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619;
    snprintf(kept, NAME_MAX, ".%.*s%s%08x", NAME_KEPT, name, TEMPORARY_MARK, hash);
}

bool is_temporary_name(const char *temporary, const char *name)
{
    const size_t kept = strnlen(name, NAME_KEPT), mark = strlen(TEMPORARY_MARK);

    return temporary[0] == '.' && strncmp(temporary + 1, name, kept) == 0 &&
           strncmp(temporary + 1 + kept, TEMPORARY_MARK, mark) == 0 &&
           strspn(temporary + 1 + kept + mark, "0123456789abcdef") == HEX_DIGITS &&
           (strlen(temporary) == 1 + kept + mark + HEX_DIGITS ||
            strcmp(temporary + 1 + kept + mark + HEX_DIGITS, KEPT_NOTES) == 0);
}
