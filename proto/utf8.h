/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: one decoder, one rule for names, and one rule for showing text that came from
 * a peer or from a file. Every module may include this header; it needs only libc.
 *
 * A name is UTF-8 without control characters. Any text may be shown, but characters that
 * can deceive a reader are written as escapes:
 *
 *   utf8_show       \x1b, \u{202e}    terminals and pages
 *   utf8_show_json  \u001b, \u202e    inside JSON strings and log values
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    UTF8_BYTES_MAX = 4,    /* of one character */
    UTF8_SHOWN_BYTES = 16, /* the longest escape, "\udb40\udc41", and its NUL fit */
};

/* Bytes of the sequence that begins with this byte; 0: no sequence begins with it. */
static inline size_t utf8_sequence_bytes(unsigned char first)
{
    return first < 0x80   ? 1
           : first < 0xc2 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf5 ? 4
                          : 0;
}

/* The length of the character at `text`, which has `count` bytes, and its code point.
 * 0: the bytes are not a character (an overlong form, a surrogate, a number above
 * U+10FFFF, a cut sequence). In a NUL-terminated text `count` may be UTF8_BYTES_MAX,
 * because the NUL ends every sequence. */
static inline size_t utf8_decode(const char *text, size_t count, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = count ? utf8_sequence_bytes(bytes[0]) : 0;

    if (length == 0 || length > count)
        return 0;
    uint32_t value = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff ||
        (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *point = value;
    return length;
}

/* C0, DEL and C1. */
static inline bool utf8_is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f);
}

/* Characters that must not be shown as they are: controls drive a terminal, line
 * separators forge a line, bidirectional controls reorder the text, invisible
 * characters make two different names look equal. */
static inline bool utf8_is_deceptive(uint32_t point)
{
    return utf8_is_control(point) || point == 0xad || /* soft hyphen */
           point == 0x61c ||                          /* ALM */
           point == 0x180e ||                         /* Mongolian vowel separator */
           (point >= 0x200b && point <= 0x200f) ||    /* zero width; LRM, RLM */
           (point >= 0x2028 && point <= 0x202e) ||    /* LS, PS; LRE ... RLO */
           (point >= 0x2060 && point <= 0x206f) ||    /* word joiner; LRI ... PDI */
           point == 0xfeff ||                         /* byte order mark */
           (point >= 0xfff9 && point <= 0xfffb) ||    /* interlinear annotation */
           (point >= 0xe0000 && point <= 0xe007f);    /* tags */
}

static inline bool utf8_is_valid(const char *text)
{
    uint32_t point;

    for (size_t length; *text; text += length) {
        length = utf8_decode(text, UTF8_BYTES_MAX, &point);
        if (length == 0)
            return false;
    }
    return true;
}

/* The rule for the names of runs, layers and tensors; their lengths are checked
 * elsewhere. Deceptive characters other than controls are allowed, because joiners
 * belong to some scripts. */
static inline bool utf8_is_name(const char *text)
{
    uint32_t point;

    for (size_t length; *text; text += length) {
        length = utf8_decode(text, UTF8_BYTES_MAX, &point);
        if (length == 0 || utf8_is_control(point))
            return false;
    }
    return true;
}

/* How many of the first `count` bytes to keep so that no character is cut. */
static inline size_t utf8_cut(const char *text, size_t count)
{
    size_t start = count;

    while (start > 0 && count - start < UTF8_BYTES_MAX - 1 &&
           ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return count; /* not UTF-8 */
    start--;
    return utf8_sequence_bytes((unsigned char)text[start]) > count - start ? start
                                                                           : count;
}

/* The first character of a NUL-terminated text as it is shown to people. Bytes that are
 * not UTF-8 are shown as \xff. Returns how many bytes of `text` it stands for; at least
 * 1, so the caller stops at the NUL. */
static inline size_t utf8_show(const char *text, char shown[UTF8_SHOWN_BYTES])
{
    uint32_t point;
    size_t length = utf8_decode(text, UTF8_BYTES_MAX, &point);

    if (length == 0)
        point = (unsigned char)*text;
    if (length == 0 || (length == 1 && utf8_is_deceptive(point)))
        snprintf(shown, UTF8_SHOWN_BYTES, "\\x%02x", (unsigned)point);
    else if (utf8_is_deceptive(point))
        snprintf(shown, UTF8_SHOWN_BYTES, "\\u{%x}", (unsigned)point);
    else
        snprintf(shown, UTF8_SHOWN_BYTES, "%.*s", (int)length, text);
    return length ? length : 1;
}

/* A whole text as it is shown to people, cut before the first character that does not fit into
 * `bytes` with the NUL. Returns its width in columns, if each character is one wide. */
static inline size_t utf8_show_text(char *out, size_t bytes, const char *text)
{
    size_t used = 0, columns = 0;

    while (*text) {
        char shown[UTF8_SHOWN_BYTES];
        size_t length = utf8_show(text, shown), shown_bytes = strlen(shown);

        if (used + shown_bytes >= bytes)
            break;
        memcpy(out + used, shown, shown_bytes);
        used += shown_bytes;
        columns += *text == *shown ? 1 : shown_bytes; /* an escape is ASCII */
        text += length;
    }
    if (bytes)
        out[used] = '\0';
    return columns;
}

/* utf8_show for the inside of a JSON string, where a byte that is not UTF-8 is shown as
 * \ufffd. Quotes and backslashes are the caller's. */
static inline size_t utf8_show_json(const char *text, char shown[UTF8_SHOWN_BYTES])
{
    uint32_t point;
    size_t length = utf8_decode(text, UTF8_BYTES_MAX, &point);

    if (length == 0)
        snprintf(shown, UTF8_SHOWN_BYTES, "\\ufffd");
    else if (!utf8_is_deceptive(point))
        snprintf(shown, UTF8_SHOWN_BYTES, "%.*s", (int)length, text);
    else if (point < 0x10000)
        snprintf(shown, UTF8_SHOWN_BYTES, "\\u%04x", (unsigned)point);
    else
        snprintf(shown, UTF8_SHOWN_BYTES, "\\u%04x\\u%04x",
                 (unsigned)(0xd800 + ((point - 0x10000) >> 10)),
                 (unsigned)(0xdc00 + ((point - 0x10000) & 0x3ff)));
    return length ? length : 1;
}

/* How many of the first `count` bytes of a JSON text, whose writer has escaped C0, can
 * be shown as they are. The character behind them goes through utf8_show_json. */
static inline size_t utf8_json_safe(const char *json, size_t count)
{
    size_t safe = 0;

    while (safe < count) {
        uint32_t point = 0;
        size_t length = utf8_decode(json + safe, count - safe, &point);

        if (point >= 0x7f && utf8_is_deceptive(point))
            break;
        safe += length ? length : 1;
    }
    return safe;
}

#endif
