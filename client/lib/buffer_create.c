/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include <trit/buffer.h>

#include "client/lib/client.h"

enum trit_status trit_buffer_create(struct trit_client *client, uint64_t bytes,
                                    struct trit_buffer **buffer, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_buffer *made;

    if (client_check(client, error, &failure) < 0 ||
        (!buffer && fail_null(&failure, "buffer") < 0) ||
        (bytes == 0 && fail_field(&failure, TRIT_INVALID_ARGUMENT, "bytes",
                                  "0; a buffer has at least 1") < 0))
        return client_answer(&failure, error);
    made = buffer_new(&client->buffers, bytes);
    if (made)
        *buffer = made;
    else
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "out of memory for a buffer of %" PRIu64 " bytes", bytes);
    return client_answer(&failure, error);
}
