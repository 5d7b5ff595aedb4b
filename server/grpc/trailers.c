/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/trailers.h"

#include <stdio.h>
#include <string.h>

#include "grpc/compression.h"
#include "proto/base64.h"
#include "proto/codec/codec.h"
#include "proto/framing.h"

const struct h2_header trailers_ok = {"grpc-status", "0", 11, 1};

static void add(struct trailers *trailers, const char *name, const char *value)
{
    trailers->fields[trailers->count++] = (struct h2_header){.name = name,
                                                             .value = value,
                                                             .name_len = strlen(name),
                                                             .value_len = strlen(value)};
}

static bool add_details(struct trailers *trailers, const struct failure *failure)
{
    uint8_t bytes[2048];
    size_t count = encode_status_details(failure->status, failure->message,
                                         failure->field, bytes, sizeof(bytes));

    if (count == 0 || base64_chars(count) >= sizeof(trailers->details))
        return false;
    base64_encode(bytes, count, trailers->details);
    return true;
}

static void add_metadata(struct trailers *trailers, const struct metadata *metadata,
                         enum metadata_place place)
{
    for (size_t i = 0; metadata && i < metadata->counts[place]; i++)
        trailers->fields[trailers->count++] = metadata->fields[place][i];
}

void trailers_build(struct trailers *trailers, const struct failure *failure,
                    const struct metadata *metadata, bool only)
{
    trailers->count = 0;
    if (only) {
        add(trailers, "content-type", "application/grpc");
        add_metadata(trailers, metadata, METADATA_HEADERS);
    }
    if (failure->status == TRIT_OK) {
        trailers->fields[trailers->count++] = trailers_ok;
        add_metadata(trailers, metadata, METADATA_TRAILERS);
        return;
    }
    snprintf(trailers->status, sizeof(trailers->status), "%u", (unsigned)failure->status);
    add(trailers, "grpc-status", trailers->status);
    add_metadata(trailers, metadata, METADATA_TRAILERS);
    message_escape(failure->message, trailers->message, sizeof(trailers->message));
    add(trailers, "grpc-message", trailers->message);
    if (failure->retry_ms) {
        snprintf(trailers->retry_ms, sizeof(trailers->retry_ms), "%u",
                 (unsigned)failure->retry_ms);
        add(trailers, "grpc-retry-pushback-ms", trailers->retry_ms);
    }
    if (failure->field[0] && add_details(trailers, failure))
        add(trailers, "grpc-status-details-bin", trailers->details);
    if (failure->status == TRIT_UNIMPLEMENTED)
        add(trailers, "grpc-accept-encoding", CODINGS_SUPPORTED);
}
