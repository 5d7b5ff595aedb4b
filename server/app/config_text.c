/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"

enum { CONFIG_FILE_BYTES_MAX = 65536 };

int config_text_read(char **text, const char *path, struct failure *failure)
{
    char *buffer = malloc(CONFIG_FILE_BYTES_MAX + 1);
    int file = buffer ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t count = file < 0 ? -1 : read_fully(file, buffer, CONFIG_FILE_BYTES_MAX + 1);
    const char *why = count < 0                             ? strerror(errno)
                      : count > CONFIG_FILE_BYTES_MAX       ? "larger than 65536 bytes"
                      : memchr(buffer, '\0', (size_t)count) ? "has a NUL byte"
                                                            : NULL;

    if (file >= 0)
        close(file);
    if (why) {
        free(buffer);
        return fail(failure, TRIT_INVALID_ARGUMENT, "config", "--config \"%s\": %s", path,
                    why);
    }
    buffer[count] = '\0';
    *text = buffer;
    return 0;
}

int config_text_check(const char *path, struct failure *failure)
{
    struct stat about;

    if (!path || stat(path, &about) < 0 || !S_ISFIFO(about.st_mode))
        return 0; /* what else is wrong is told when it is read */
    return fail(failure, TRIT_INVALID_ARGUMENT, "config",
                "--config \"%s\": is a pipe, which is read at the start only; use a "
                "regular file",
                path);
}

static char *trimmed(char *text)
{
    size_t length;

    while (*text == ' ' || *text == '\t')
        text++;
    length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

int config_text_split(char *line, char **name, char **value)
{
    char *equals;

    *name = line = trimmed(line);
    if (*line == '\0' || *line == '#')
        return 0;
    equals = strchr(line, '=');
    if (!equals)
        return -1;
    *equals = '\0';
    *name = trimmed(line);
    *value = trimmed(equals + 1);
    return 1;
}
