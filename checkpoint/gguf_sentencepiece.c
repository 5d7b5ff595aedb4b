/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_sentencepiece.h"

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_8_BYTES = 1,
    WIRE_BYTES = 2,
    WIRE_4_BYTES = 5,
    MODEL_PIECES = 1,
    MODEL_TRAINER = 2,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_TYPE = 3,
    TRAINER_KIND = 3,
    KIND_UNIGRAM = 1, /* where it is not said */
    KIND_BPE = 2,
};

struct message {
    const uint8_t *at, *end;
};

struct field {
    uint64_t number; /* of the field */
    uint64_t value;  /* of a varint; else the bytes as a number */
    struct message bytes;
};

static bool take_varint(struct message *message, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && message->at < message->end; shift += 7) {
        const uint8_t byte = *message->at++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_bytes(struct message *message, uint64_t count, struct message *bytes)
{
    if (count > (uint64_t)(message->end - message->at))
        return false;
    bytes->at = message->at;
    bytes->end = message->at + count;
    message->at += count;
    return true;
}

static bool take_field(struct message *message, struct field *field)
{
    uint64_t tag, count;

    *field = (struct field){.number = 0};
    if (!take_varint(message, &tag))
        return false;
    field->number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(message, &field->value);
    case WIRE_8_BYTES:
        return take_bytes(message, 8, &field->bytes);
    case WIRE_4_BYTES:
        if (!take_bytes(message, 4, &field->bytes))
            return false;
        for (unsigned i = 0; i < 4; i++)
            field->value |= (uint64_t)field->bytes.at[i] << 8 * i;
        return true;
    case WIRE_BYTES:
        return take_varint(message, &count) && take_bytes(message, count, &field->bytes);
    default:
        return false;
    }
}

static int malformed(struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "it is not a model of SentencePiece");
}

static int take_piece(struct gguf_vocabulary *vocabulary, struct message message,
                      uint64_t number, struct failure *failure)
{
    struct gguf_token token = {.text = "", .type = GGUF_TOKEN_NORMAL};
    struct field field;

    while (message.at < message.end) {
        if (!take_field(&message, &field))
            return malformed(failure);
        if (field.number == PIECE_TEXT && field.bytes.at) {
            token.text = (const char *)field.bytes.at;
            token.bytes = (size_t)(field.bytes.end - field.bytes.at);
        } else if (field.number == PIECE_SCORE) {
            const uint32_t bits = (uint32_t)field.value;

            memcpy(&token.score, &bits, sizeof(bits));
        } else if (field.number == PIECE_TYPE) {
            if (field.value < GGUF_TOKEN_NORMAL || field.value > GGUF_TOKEN_BYTE)
                return malformed(failure);
            token.type = (int32_t)field.value;
        }
    }
    return gguf_vocabulary_set(vocabulary, number, &token, failure);
}

static int take_kind(struct message message, uint64_t *kind, struct failure *failure)
{
    struct field field;

    while (message.at < message.end) {
        if (!take_field(&message, &field))
            return malformed(failure);
        if (field.number == TRAINER_KIND)
            *kind = field.value;
    }
    return 0;
}

int gguf_sentencepiece_read(struct gguf_vocabulary *vocabulary, const char *bytes,
                            size_t count, struct failure *failure)
{
    struct message message = {(const uint8_t *)bytes, (const uint8_t *)bytes + count};
    uint64_t kind = KIND_UNIGRAM, pieces = 0;
    struct field field;

    while (message.at < message.end) {
        if (!take_field(&message, &field))
            return malformed(failure);
        if (field.number == MODEL_PIECES && field.bytes.at &&
            take_piece(vocabulary, field.bytes, pieces++, failure) < 0)
            return -1;
        if (field.number == MODEL_TRAINER && field.bytes.at &&
            take_kind(field.bytes, &kind, failure) < 0)
            return -1;
    }
    if (pieces == 0)
        return malformed(failure);
    return kind == KIND_BPE
               ? 0
               : fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                      "its SentencePiece model is not BPE, which llama.cpp needs");
}
