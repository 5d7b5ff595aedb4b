/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/line.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

enum {
    /* Reserved for line_end: `,"truncated":true}` and the newline. */
    END_BYTES = 24,
    FIELDS_BYTES_MAX = LINE_BYTES_MAX - END_BYTES,
    /* Of one escaped text, so that the fields after a long one still fit. */
    VALUE_BYTES_MAX = 1536,
};

/* ---- text, character by character ------------------------------------------ */

/* Escapes the character for a quoted text, in JSON and in logfmt. Returns how many
 * bytes of `text` it has. */
static size_t escape_character(const char *text, char escaped[UTF8_SHOWN_BYTES])
{
    if (*text == '"' || *text == '\\')
        snprintf(escaped, UTF8_SHOWN_BYTES, "\\%c", *text);
    else if (*text == '\n')
        snprintf(escaped, UTF8_SHOWN_BYTES, "\\n");
    else if (*text == '\t')
        snprintf(escaped, UTF8_SHOWN_BYTES, "\\t");
    else
        return utf8_show_json(text, escaped);
    return 1;
}

/* True when logfmt needs no quotes for the text, and it is short enough. */
static bool is_bare(const char *text)
{
    const char *at = text;

    for (; *at; at++)
        if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '=' || *at == '\\' ||
            at - text == VALUE_BYTES_MAX)
            return false;
    return at > text;
}

/* ---- the line ---------------------------------------------------------------- */

static bool append(struct line *line, const char *text, size_t bytes, size_t room_after)
{
    if (bytes + room_after > FIELDS_BYTES_MAX - line->used) {
        line->truncated = true;
        return false;
    }
    memcpy(line->bytes + line->used, text, bytes);
    line->used += bytes;
    return true;
}

static bool append_text(struct line *line, const char *text)
{
    return append(line, text, strlen(text), 0);
}

/* Cuts the text between characters when it does not fit; the closing quote always
 * fits. */
static bool append_quoted(struct line *line, const char *text)
{
    const char *at = text;
    size_t end = line->used + VALUE_BYTES_MAX;
    char escaped[UTF8_SHOWN_BYTES];

    if (!append(line, "\"", 1, 1))
        return false;
    while (*at) {
        size_t bytes = escape_character(at, escaped);

        line->truncated |= line->used >= end;
        if (line->used >= end || !append(line, escaped, strlen(escaped), 1))
            break;
        at += bytes;
    }
    return append(line, "\"", 1, 0);
}

static bool append_key(struct line *line, const char *key)
{
    if (line->format == LOG_LOGFMT)
        return (line->empty || append(line, " ", 1, 0)) && append_text(line, key) &&
               append(line, "=", 1, 0);
    return (line->empty || append(line, ",", 1, 0)) && append_quoted(line, key) &&
           append(line, ":", 1, 0);
}

/* The shortest text that reads back as the same value. JSON has no NaN and no
 * infinity, so these become strings. */
static bool append_f64(struct line *line, double value)
{
    char text[32];

    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    return isfinite(value) || line->format == LOG_LOGFMT ? append_text(line, text)
                                                         : append_quoted(line, text);
}

static bool append_value(struct line *line, const struct log_field *field)
{
    char text[24];

    switch (field->kind) {
    case LOG_KIND_STR: {
        const char *str = field->value.str ? field->value.str : "";

        return line->format == LOG_LOGFMT && is_bare(str) &&
                       strlen(str) <= FIELDS_BYTES_MAX - line->used
                   ? append_text(line, str)
                   : append_quoted(line, str);
    }
    case LOG_KIND_U64:
        snprintf(text, sizeof(text), "%" PRIu64, field->value.u64);
        return append_text(line, text);
    case LOG_KIND_I64:
        snprintf(text, sizeof(text), "%" PRId64, field->value.i64);
        return append_text(line, text);
    case LOG_KIND_F64:
        return append_f64(line, field->value.f64);
    case LOG_KIND_END:
        break;
    }
    return false;
}

void line_begin(struct line *line, enum log_format format, const char *prefix)
{
    line->format = format;
    line->truncated = false;
    line->empty = true;
    line->used = 0;
    append_text(line, prefix);
    if (format == LOG_JSON)
        append(line, "{", 1, 0);
}

void line_put(struct line *line, const struct log_field *field)
{
    size_t before = line->used;

    if (append_key(line, field->key) && append_value(line, field))
        line->empty = false;
    else
        line->used = before;
}

void line_end(struct line *line)
{
    const char *note =
        line->format == LOG_LOGFMT ? " truncated=true" : ",\"truncated\":true";
    const char *end = line->format == LOG_LOGFMT ? "\n" : "}\n";

    if (line->truncated) {
        memcpy(line->bytes + line->used, note, strlen(note));
        line->used += strlen(note);
    }
    memcpy(line->bytes + line->used, end, strlen(end));
    line->used += strlen(end);
}
