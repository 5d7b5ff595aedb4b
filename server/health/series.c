/* SPDX-License-Identifier: Apache-2.0 */
#include "health/series.h"

#include <string.h>

void series_init(struct series *series)
{
    *series = (struct series){
        .stride = 1,
        .left_recent = HEALTH_NO_STEP,
        .left_life = HEALTH_NO_STEP,
    };
}

/* Drops every second value, so that the others stay at equal distances. */
static void thin_life(struct series *series)
{
    for (size_t i = 0; i < SERIES_LIFE / 2; i++)
        series->life[i] = series->life[2 * i];
    series->life_count = SERIES_LIFE / 2;
    series->stride *= 2;
}

void series_add(struct series *series, float value)
{
    if (series->seen % series->stride == 0 && series->life_count == SERIES_LIFE)
        thin_life(series);
    if (series->seen % series->stride == 0)
        series->life[series->life_count++] = value;
    series->recent[series->seen % SERIES_RECENT] = value;
    series->seen++;
}

bool series_is_grown(const struct series *series)
{
    return series->seen >= SERIES_YOUNG;
}

static float median(const float *values, size_t count)
{
    float sorted[SERIES_RECENT > SERIES_LIFE ? SERIES_RECENT : SERIES_LIFE];

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;

        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return count % 2 ? sorted[count / 2]
                     : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

float series_recent_median(const struct series *series)
{
    return median(series->recent,
                  series->seen < SERIES_RECENT ? (size_t)series->seen : SERIES_RECENT);
}

float series_life_median(const struct series *series)
{
    return median(series->life, series->life_count);
}

float series_life_low(const struct series *series)
{
    float lowest = series->life[0], low = series->life[series->life_count > 1];

    if (series->life_count == 0)
        return 0;
    for (size_t i = 1; i < series->life_count; i++) {
        const float value = series->life[i];

        if (value < lowest) {
            low = lowest;
            lowest = value;
        } else if (i == 1 || value < low) {
            low = value;
        }
    }
    return low;
}

static void track(uint64_t *left, uint64_t step, float distance, float width,
                  bool upwards)
{
    bool outside = distance > width || (!upwards && distance < -width);

    if (!outside)
        *left = HEALTH_NO_STEP;
    else if (*left == HEALTH_NO_STEP)
        *left = step;
}

void series_track(struct series *series, uint64_t step, float value, float life,
                  float width, bool upwards)
{
    track(&series->left_recent, step, value - series_recent_median(series), width,
          upwards);
    track(&series->left_life, step, value - life, width, upwards);
}

uint64_t series_left(const struct series *series, uint64_t step)
{
    if (series->left_recent != HEALTH_NO_STEP)
        return series->left_recent;
    return series->left_life != HEALTH_NO_STEP ? series->left_life : step;
}
