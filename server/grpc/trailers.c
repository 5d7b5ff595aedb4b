/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/trailers.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "proto/framing.h"

static void add(struct trailers *trailers, const char *name, const char *value)
{
    trailers->fields[trailers->count++] = (struct h2_header){.name = name,
                                                             .value = value,
                                                             .name_len = strlen(name),
                                                             .value_len = strlen(value)};
}

/* Base64 without padding, as gRPC senders should. */
static bool add_details(struct trailers *trailers, const struct failure *failure)
{
    uint8_t bytes[2048];
    size_t count = encode_status_details(failure->status, failure->message,
                                         failure->field, bytes, sizeof(bytes));
    gnutls_datum_t raw = {.data = bytes, .size = (unsigned)count}, text;
    size_t length;

    if (count == 0 || gnutls_base64_encode2(&raw, &text) < 0)
        return false;
    length = text.size;
    while (length > 0 && text.data[length - 1] == '=')
        length--;
    if (length < sizeof(trailers->details)) {
        memcpy(trailers->details, text.data, length);
        trailers->details[length] = '\0';
    }
    gnutls_free(text.data);
    return length < sizeof(trailers->details);
}

void trailers_build(struct trailers *trailers, const struct failure *failure, bool only,
                    bool accept)
{
    trailers->count = 0;
    if (only)
        add(trailers, "content-type", "application/grpc");
    snprintf(trailers->status, sizeof(trailers->status), "%u", (unsigned)failure->status);
    add(trailers, "grpc-status", trailers->status);
    if (failure->status == TRIT_OK)
        return;
    message_escape(failure->message, trailers->message, sizeof(trailers->message));
    add(trailers, "grpc-message", trailers->message);
    if (failure->retry_ms) {
        snprintf(trailers->retry_ms, sizeof(trailers->retry_ms), "%u",
                 (unsigned)failure->retry_ms);
        add(trailers, "grpc-retry-pushback-ms", trailers->retry_ms);
    }
    if (failure->field[0] && add_details(trailers, failure))
        add(trailers, "grpc-status-details-bin", trailers->details);
    if (accept)
        add(trailers, "grpc-accept-encoding", "identity");
}
