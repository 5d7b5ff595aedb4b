/* SPDX-License-Identifier: Apache-2.0 */
/* The deframer gives the same messages however the bytes are cut; what was escaped
 * comes back; a timeout never shrinks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out, folded into a few numbers. */
struct outcome {
    uint64_t hash;
    uint64_t messages, ended, bytes;
    bool idle;
};

static void fold(struct outcome *outcome, uint64_t value)
{
    outcome->hash = (outcome->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    outcome->hash ^= outcome->hash >> 29;
}

static void feed(struct deframer *deframer, const uint8_t *bytes, size_t count,
                 struct outcome *outcome)
{
    for (;;) {
        struct deframed found = {0};
        switch (deframe(deframer, &bytes, &count, &found)) {
        case DEFRAME_MORE:
            assert(count == 0);
            return;
        case DEFRAME_MESSAGE:
            outcome->messages++;
            fold(outcome, found.length * 2 + found.compressed);
            break;
        case DEFRAME_BYTES:
            assert(found.count > 0);
            outcome->bytes += found.count;
            for (size_t i = 0; i < found.count; i++)
                fold(outcome, found.bytes[i]);
            break;
        case DEFRAME_END:
            outcome->ended++;
            fold(outcome, 1000);
            break;
        }
    }
}

/* Pieces of 1 to `piece` bytes; 0: one piece. */
static struct outcome deframe_all(const uint8_t *data, size_t size, size_t piece)
{
    struct deframer deframer;
    struct outcome outcome = {0};
    deframer_init(&deframer);
    for (size_t at = 0, next = 1; at < size; at += next) {
        next = piece == 0 ? size : 1 + at * 7 % piece;
        if (next > size - at)
            next = size - at;
        feed(&deframer, data + at, next, &outcome);
    }
    outcome.idle = deframer_idle(&deframer);
    assert(outcome.messages - outcome.ended <= 1);
    return outcome;
}

static void check_messages(const uint8_t *data, size_t size)
{
    struct outcome whole = deframe_all(data, size, 0);
    for (size_t piece = 1; piece < 9; piece += 3) {
        struct outcome cut = deframe_all(data, size, piece);
        assert(cut.hash == whole.hash && cut.messages == whole.messages);
        assert(cut.ended == whole.ended && cut.idle == whole.idle);
    }
}

static void check_texts(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *escaped = malloc(9 * size + 1);
    char *back = malloc(9 * size + 1), *again = malloc(size + 1);
    assert(text && escaped && back && again);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    message_escape(text, escaped, 9 * size + 1);
    message_unescape(escaped, back, 9 * size + 1);
    assert(!utf8_is_valid(text) || strcmp(back, text) == 0);
    assert(utf8_is_valid(back));
    message_unescape(text, back, size + 1);
    assert(strlen(back) <= strlen(text));
    message_escape(text, again, size + 1); /* cut, but not inside an escape */
    assert(strncmp(escaped, again, strlen(again)) == 0);

    uint64_t ns, back_ns;
    char timeout[TIMEOUT_TEXT_BYTES];
    if (timeout_parse(text, &ns) == 0) {
        timeout_format(ns, timeout);
        assert(timeout_parse(timeout, &back_ns) == 0 && back_ns >= ns);
    }
    free(text);
    free(escaped);
    free(back);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_messages(data, size);
    check_texts(data, size);
    return 0;
}

#include "replay.h"
