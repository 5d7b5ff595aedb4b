/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's past as bytes: little-endian numbers in a fixed order after a version. */
#include <string.h>

#include "health/health.h"

enum { VERSION = 1 };

void health_past_init(struct health_past *past)
{
    *past = (struct health_past){.collapsed_step = HEALTH_NO_STEP};
    for (size_t i = 0; i < SERIES_COUNT; i++)
        series_init(&past->series[i]);
    for (size_t i = 0; i < HEALTH_RULES_WITH_PAST; i++)
        past->since[i] = HEALTH_NO_STEP;
}

/* ---- numbers to and from bytes ---------------------------------------------------- */

/* One walk over all members serves both directions, so that they cannot differ. */
struct walk {
    uint8_t *bytes;
    size_t at;
    bool writes;
};

static void number(struct walk *walk, void *value, size_t size)
{
    uint8_t *bytes = walk->bytes + walk->at;

    if (walk->writes)
        memcpy(bytes, value, size);
    else
        memcpy(value, bytes, size);
    walk->at += size;
}

#define NUMBER(walk, member) number(walk, &(member), sizeof(member))

static void walk_series(struct walk *walk, struct series *series)
{
    NUMBER(walk, series->seen);
    NUMBER(walk, series->stride);
    NUMBER(walk, series->life_count);
    NUMBER(walk, series->recent);
    NUMBER(walk, series->life);
    NUMBER(walk, series->left_recent);
    NUMBER(walk, series->left_life);
}

static void walk_past(struct walk *walk, struct health_past *past)
{
    for (size_t i = 0; i < SERIES_COUNT; i++)
        walk_series(walk, &past->series[i]);
    NUMBER(walk, past->since);
    NUMBER(walk, past->collapsed_step);
    NUMBER(walk, past->collapsed_count);
    NUMBER(walk, past->interval_count);
    NUMBER(walk, past->interval_ms);
    NUMBER(walk, past->time_unix_ns);
}

enum {
    SERIES_BYTES = 8 + 8 + 1 + 4 * (SERIES_RECENT + SERIES_LIFE) + 8 + 8,
    BYTES = 1 + SERIES_COUNT * SERIES_BYTES + 8 * HEALTH_RULES_WITH_PAST + 8 + 4 + 4 +
            4 * HEALTH_INTERVALS + 8,
};
_Static_assert((int)BYTES == (int)HEALTH_PAST_BYTES, "the size of an encoded past");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a number in memory is a number on disk");

void health_past_encode(const struct health_past *past, uint8_t bytes[HEALTH_PAST_BYTES])
{
    struct health_past copy = *past;
    struct walk walk = {.bytes = bytes, .at = 1, .writes = true};

    bytes[0] = VERSION;
    walk_past(&walk, &copy);
}

static bool is_sound(const struct health_past *past)
{
    for (size_t i = 0; i < SERIES_COUNT; i++)
        if (past->series[i].life_count > SERIES_LIFE || past->series[i].stride == 0)
            return false;
    return true;
}

int health_past_decode(const uint8_t *bytes, size_t count, struct health_past *past)
{
    uint8_t copy[HEALTH_PAST_BYTES];
    struct walk walk = {.bytes = copy, .at = 1};
    struct health_past read;

    if (count != HEALTH_PAST_BYTES || bytes[0] != VERSION)
        return -1;
    memcpy(copy, bytes, sizeof(copy));
    walk_past(&walk, &read);
    if (!is_sound(&read))
        return -1;
    *past = read;
    return 0;
}
