/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of one quantity of a layer: the last values, and values spread over its
 * whole life. Values that a rule calls sick are not added, so a median stays that of the
 * healthy past. */
#ifndef HEALTH_SERIES_H
#define HEALTH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERIES_RECENT = 16, /* the last values */
    SERIES_LIFE = 16,   /* values at equal distances from the first on */
    SERIES_YOUNG = 8,   /* with fewer values there is no drift */
};

#define HEALTH_NO_STEP UINT64_MAX

struct series {
    uint64_t seen;   /* values added */
    uint64_t stride; /* of `life`; doubles each time that it is full */
    uint8_t life_count;
    float recent[SERIES_RECENT]; /* a ring: the next one goes to seen % SERIES_RECENT */
    float life[SERIES_LIFE];
    /* The first step since which the value has been outside of a narrow band around the
     * median of `recent`, and around what stands for `life`. HEALTH_NO_STEP: it is inside. */
    uint64_t left_recent, left_life;
};

void series_init(struct series *series);
void series_add(struct series *series, float value);

/* Whether there are enough values to speak of a past. */
bool series_is_grown(const struct series *series);

/* 0 for an empty series. */
float series_recent_median(const struct series *series);
float series_life_median(const struct series *series);
/* The second smallest of its life, as the smallest may be chance. */
float series_life_low(const struct series *series);

/* Notes at which step the value left the band of +-width around the median of the last
 * values, and around `life`, which stands for its life. With `upwards`, only values above
 * count. */
void series_track(struct series *series, uint64_t step, float value, float life,
                  float width, bool upwards);

/* The step at which the value left its band for good: that of the recent values if it
 * left it, else that of its life, else `step`. */
uint64_t series_left(const struct series *series, uint64_t step);

#endif
