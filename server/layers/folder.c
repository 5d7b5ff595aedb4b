/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "layers/impl.h"

int folder_each(int folder, const char *words,
                int (*visit)(void *arg, const char *name, struct failure *failure),
                void *arg, struct failure *failure)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int result = 0;

    if (!directory) {
        if (fd >= 0)
            close(fd);
        return fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot list folder %s: %s",
                    words, strerror(errno));
    }
    while (result == 0 && (entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            result = visit(arg, entry->d_name, failure);
    closedir(directory);
    return result;
}
