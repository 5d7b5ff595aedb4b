/* SPDX-License-Identifier: Apache-2.0 */
/* The short way through small requests gives what nanopb gives. */
#include "proto/codec/plain.h"

#include <string.h>

#include "tests/lib/check.h"

enum { BYTES_MAX = 120, ROUNDS = 50000 };

/* Behind a message: a field that no message has, so that nanopb decodes. */
static const uint8_t unknown[] = {0xc0, 0x3e, 0};

struct text {
    uint8_t bytes[BYTES_MAX + sizeof(unknown)];
    size_t count;
};

static uint64_t random_state;

static uint64_t below(uint64_t limit)
{
    return check_random(&random_state) % limit;
}

static void put(struct text *text, uint64_t byte)
{
    if (text->count < BYTES_MAX)
        text->bytes[text->count++] = (uint8_t)byte;
}

/* Now and then with bytes that say nothing. */
static void put_varint(struct text *text, uint64_t value)
{
    size_t padding = below(16) == 0 ? below(12) : 0;

    for (; value >= 0x80 || padding; value >>= 7, padding -= padding > 0 && value < 0x80)
        put(text, (value & 0x7f) | 0x80);
    put(text, value);
}

static uint64_t some_number(void)
{
    static const uint64_t odd[] = {INT32_MAX,  UINT64_C(1) << 31, UINT32_MAX,
                                   UINT64_MAX, UINT64_C(1) << 62, UINT64_C(1) << 63};

    return below(8) ? below(300) : odd[below(sizeof(odd) / sizeof(odd[0]))];
}

/* A field with a number, or a text that is packed numbers and maybe fields too. */
static void put_field(struct text *text, uint64_t number)
{
    struct text inside = {.count = 0};

    if (below(16) == 0)
        number = below(40);
    if (below(3)) {
        put_varint(text, number << 3);
        put_varint(text, some_number());
        return;
    }
    for (size_t i = below(6); i > 0; i--)
        put_varint(&inside, some_number());
    put_varint(text, number << 3 | (below(20) ? 2 : below(8)));
    put_varint(text, inside.count + (below(20) ? 0 : below(4)));
    for (size_t i = 0; i < inside.count; i++)
        put(text, inside.bytes[i]);
}

static struct scan_part part_of(struct text *text)
{
    return (struct scan_part){.bytes = text->bytes, .count = text->count};
}

static void put_project(struct text *text)
{
    for (size_t message = below(3); message > 0; message--) {
        struct text options = {.count = 0};

        for (size_t i = below(7); i > 0; i--)
            put_field(&options, 1 + below(6));
        put_varint(text, below(20) ? 1 << 3 | 2 : below(40));
        put_varint(text, options.count + (below(20) ? 0 : below(4)));
        for (size_t i = 0; i < options.count; i++)
            put(text, options.bytes[i]);
    }
}

CASE(project, "a ProjectRequest that is read the short way says what nanopb says")
{
    size_t taken = 0;

    random_state = check_seed();
    for (size_t round = 0; round < ROUNDS; round++) {
        static struct wire_project short_way, by_nanopb;
        char error[CODEC_ERROR_BYTES];
        struct text text = {.count = 0};
        struct scan_part part;

        put_project(&text);
        part = part_of(&text);
        memset(&short_way, 0x5a, sizeof(short_way));
        if (!plain_project(&part, &short_way)) {
            CHECK_EQ(short_way.group_size, 0x5a5a5a5a);
            continue;
        }
        taken++;
        memcpy(text.bytes + text.count, unknown, sizeof(unknown));
        part.count += sizeof(unknown);
        CHECK(!plain_project(&part, &by_nanopb));
        CHECK(decode_project(&part, &by_nanopb, error) == 0);
        CHECK_EQ(short_way.group_size, by_nanopb.group_size);
        CHECK_EQ(short_way.partial_group, by_nanopb.partial_group);
        CHECK_EQ(short_way.encoding, by_nanopb.encoding);
        CHECK_EQ(short_way.report, by_nanopb.report);
        CHECK_EQ(short_way.durability, by_nanopb.durability);
        CHECK_EQ(short_way.allow_lost_scales, by_nanopb.allow_lost_scales);
        CHECK(!short_way.layer.present && !by_nanopb.layer.present);
        CHECK(!short_way.reply.present && !by_nanopb.reply.present);
    }
    CHECK(taken > ROUNDS / 20 && taken < ROUNDS);
}

CASE(tensor, "a Tensor that is read the short way says what nanopb says")
{
    size_t taken = 0;

    random_state = check_seed();
    for (size_t round = 0; round < ROUNDS; round++) {
        struct wire_tensor short_way = {.rank = 77}, by_nanopb;
        char error[CODEC_ERROR_BYTES];
        struct text text = {.count = 0};
        struct scan_part part;

        for (size_t i = below(5); i > 0; i--)
            put_field(&text, 1 + below(2));
        part = part_of(&text);
        if (!plain_tensor(&part, &short_way)) {
            CHECK_EQ(short_way.rank, 77);
            continue;
        }
        taken++;
        memcpy(text.bytes + text.count, unknown, sizeof(unknown));
        part.count += sizeof(unknown);
        CHECK(!plain_tensor(&part, &by_nanopb));
        CHECK(decode_tensor(&part, &by_nanopb, error) == 0);
        CHECK_EQ(short_way.dtype, by_nanopb.dtype);
        CHECK_EQ(short_way.rank, by_nanopb.rank);
        for (size_t i = 0; i < short_way.rank; i++)
            CHECK_EQ(short_way.shape[i], by_nanopb.shape[i]);
        CHECK(!short_way.region.present && !by_nanopb.region.present);
    }
    CHECK(taken > ROUNDS / 20 && taken < ROUNDS);
}
