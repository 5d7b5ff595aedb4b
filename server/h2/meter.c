/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/meter.h"

#include "base/clock.h"

void meter_init(struct meter *meter)
{
    meter->tokens = METER_BURST;
    meter->refilled_ns = clock_monotonic_ns();
}

static void meter_refill(struct meter *meter)
{
    const uint64_t second_ns = 1000000000;
    const uint64_t full_ns = METER_BURST / METER_PER_SECOND * second_ns;
    uint64_t now = clock_monotonic_ns();
    uint64_t elapsed = now - meter->refilled_ns;

    if (elapsed > full_ns)
        elapsed = full_ns;
    meter->tokens = (uint32_t)(elapsed * METER_PER_SECOND / second_ns);
    if (meter->tokens)
        meter->refilled_ns = now;
}

bool meter_take(struct meter *meter)
{
    if (meter->tokens == 0)
        meter_refill(meter);
    if (meter->tokens == 0)
        return false;
    meter->tokens--;
    return true;
}

void meter_give(struct meter *meter, uint32_t tokens)
{
    meter->tokens += tokens;
    if (meter->tokens > METER_BURST)
        meter->tokens = METER_BURST;
}
