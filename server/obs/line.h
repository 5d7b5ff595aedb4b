/* SPDX-License-Identifier: Apache-2.0 */
/* Builds one log line of bounded length. A field that does not fit is cut inside its
 * text or left out, and the line ends with a note. */
#ifndef OBS_LINE_H
#define OBS_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "obs/field.h"

/* PIPE_BUF: a pipe takes a line up to this size in one piece, even with several
 * writers. */
enum { LINE_BYTES_MAX = 4096 };

struct line {
    enum log_format format;
    bool truncated;
    bool empty; /* no field yet */
    size_t used;
    char bytes[LINE_BYTES_MAX];
};

/* `prefix` goes before everything else. */
void line_begin(struct line *line, enum log_format format, const char *prefix);

void line_put(struct line *line, const struct log_field *field);

/* Ends the line with its newline. `bytes` then holds `used` bytes to write. */
void line_end(struct line *line);

#endif
