/* SPDX-License-Identifier: Apache-2.0 */
#include "web/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "proto/utf8.h"

void text_fini(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

static bool reserve(struct text *text, size_t count)
{
    char *bytes = NULL;

    if (!text->failed && count <= TEXT_BYTES_MAX - text->count)
        bytes = array_grow(text->bytes, &text->capacity, text->count + count, 1);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t count)
{
    if (count == 0 || !reserve(text, count))
        return;
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
}

void text_put(struct text *text, const char *words)
{
    text_add(text, words, strlen(words));
}

void text_format(struct text *text, const char *format, ...)
{
    char words[512];
    va_list arguments;
    int count;

    va_start(arguments, format);
    count = vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    if (count < 0 || (size_t)count >= sizeof(words))
        text->failed = true;
    else
        text_add(text, words, (size_t)count);
}

static const char *entity(char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void text_html(struct text *text, const char *words)
{
    while (*words) {
        const char *instead = entity(*words);
        char shown[UTF8_SHOWN_BYTES];
        size_t length = utf8_show(words, shown);

        text_put(text, instead ? instead : shown);
        words += length;
    }
}

void text_json(struct text *text, const char *json, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t safe = utf8_json_safe(json + at, count - at);
        char shown[UTF8_SHOWN_BYTES];

        text_add(text, json + at, safe);
        at += safe;
        if (at == count)
            return;
        at += utf8_show_json(json + at, shown);
        text_put(text, shown);
    }
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

void text_url(struct text *text, const char *words)
{
    for (const char *at = words; *at; at++) {
        if (unreserved(*at))
            text_add(text, at, 1);
        else
            text_format(text, "%%%02X", (unsigned)(unsigned char)*at);
    }
}

static bool is_step(const char *name, size_t count)
{
    return (count == 1 || count == 2) && memcmp(name, "..", count) == 0;
}

void text_segment(struct text *text, const char *name)
{
    if (is_step(name, strlen(name)))
        text_put(text, "=");
    text_url(text, name);
}

int segment_decode(const char *segment, size_t count, char *out, size_t bytes)
{
    const bool step = count > 0 && segment[0] == '=' && is_step(segment + 1, count - 1);

    return url_decode(segment + step, count - step, out, bytes);
}

int url_decode(const char *words, size_t count, char *out, size_t bytes)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        int byte = (unsigned char)words[i];

        if (words[i] == '%') {
            int high = count - i > 2 ? hex_digit(words[i + 1]) : -1;

            byte = count - i > 2 ? hex_digit(words[i + 2]) : -1;
            if (high < 0 || byte < 0)
                return -1;
            byte |= high << 4;
            i += 2;
        }
        if (byte == 0 || used + 1 >= bytes)
            return -1;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return 0;
}
