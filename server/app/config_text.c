/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_FILE_BYTES_MAX = 65536 };

int config_text_read(char **text, const char *path, struct failure *failure)
{
    char *buffer = malloc(CONFIG_FILE_BYTES_MAX + 1);
    int file = buffer ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t count = file < 0 ? -1 : read(file, buffer, CONFIG_FILE_BYTES_MAX + 1);

    if (file >= 0)
        close(file);
    if (count < 0 || count > CONFIG_FILE_BYTES_MAX) {
        free(buffer);
        return fail(failure, TRIT_INVALID_ARGUMENT, "config", "--config \"%s\": %s", path,
                    count < 0 ? strerror(errno) : "larger than 65536 bytes");
    }
    buffer[count] = '\0';
    *text = buffer;
    return 0;
}
