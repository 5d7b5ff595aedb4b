/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/call_terms.h"

#include "base/clock.h"

int call_init(struct call *call, struct trit_client *client, const char *field,
              const struct trit_call_options *options, uint64_t bytes_total,
              struct failure *failure)
{
    struct trit_call_options o;

    if (sized_take_optional(&sized_call_options, field, options, &o, failure) < 0 ||
        wait_check("call.wait_for_ready", o.wait_for_ready, failure) < 0)
        return -1;
    *call = (struct call){.client = client,
                          .timeout_ms = o.timeout_ms ? o.timeout_ms : client->timeout_ms,
                          .progress = o.progress,
                          .progress_arg = o.progress_arg,
                          .wait_for_ready = o.wait_for_ready == TRIT_WAIT_DEFAULT
                                                ? client->wait_for_ready
                                                : o.wait_for_ready == TRIT_WAIT_ON,
                          .no_retry = o.no_retry,
                          .retry = o.no_retry ? retry_none : client->retry,
                          .bytes_total = bytes_total};
    if (call->timeout_ms > UINT64_MAX / 4 / 1000000u)
        call->timeout_ms = 0; /* too long for nanoseconds: no deadline */
    if (call->timeout_ms)
        call->deadline_ns = clock_monotonic_ns() + call->timeout_ms * 1000000u;
    return 0;
}
