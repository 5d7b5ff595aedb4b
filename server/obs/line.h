/* One log line under construction: bounded, and whole whatever is put in. A
 * field that does not fit is cut inside its text or left out, and the line says
 * so at its end. */
#ifndef OBS_LINE_H
#define OBS_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "obs/field.h"

/* PIPE_BUF: up to here a pipe takes a line in one piece, even among several
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

/* Closes it, with its newline; bytes and used are what is to be written. */
void line_end(struct line *line);

#endif
