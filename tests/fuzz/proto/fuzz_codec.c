/* SPDX-License-Identifier: Apache-2.0 */
/* Every decoder but those of Layers: accepts or names what is wrong (decoders.h). */
#include <jansson.h>

#include "proto/codec/history.h"

#include "decoders.h"
#include "proto/report_json.h"

/* ---- requests ------------------------------------------------------------------- */

static bool project(const struct scan_part *in, struct encoded *out)
{
    struct wire_project request;
    struct wire_tensor none = {0};
    if (!accepted(decode_project(in, &request, error)))
        return false;
    out->count = encode_project(&request, &none, 0, out->bytes, sizeof(out->bytes));
    out->count -= 2; /* tensor {} */
    return true;
}

static bool project_start(const struct scan_part *in, struct encoded *out)
{
    struct wire_project request;
    if (!accepted(decode_project_start(in, &request, error)))
        return false;
    out->count = encode_project_start(&request, out->bytes, sizeof(out->bytes));
    unwrap(out);
    return true;
}

static bool verify(const struct scan_part *in, struct encoded *out)
{
    static const struct scan_part none;
    struct wire_verify request;
    struct wire_tensor tensor = {0};
    size_t cut[2];
    if (!accepted(decode_verify(in, &none, &request, error)))
        return false;
    out->count = encode_verify(&request, 0, NULL, 0, &tensor, 0, out->bytes,
                               sizeof(out->bytes), cut);
    out->count -= 2;
    return true;
}

static bool verify_options(const struct scan_part *in, struct encoded *out)
{
    static const struct scan_part none;
    struct wire_verify request;
    struct wire_tensor tensor = {0};
    size_t cut[2];
    if (!accepted(decode_verify(&none, in, &request, error)))
        return false;
    out->count = encode_verify(&request, 0, NULL, 0, &tensor, 0, out->bytes,
                               sizeof(out->bytes), cut);
    if (cut[0] == 0)
        out->count = 0;
    else
        out->count -= 2, unwrap(out);
    return true;
}

static bool verify_start(const struct scan_part *in, struct encoded *out)
{
    static const struct scan_part none;
    struct wire_verify request;
    size_t scales_at;
    if (!accepted(decode_verify_start(in, &none, &request, error)))
        return false;
    out->count =
        encode_verify_start(&request, 0, out->bytes, sizeof(out->bytes), &scales_at);
    unwrap(out);
    return true;
}

static bool tensor(const struct scan_part *in, struct encoded *out)
{
    struct wire_tensor request;
    if (!accepted(decode_tensor(in, &request, error)))
        return false;
    out->count = encode_tensor(&request, 0, out->bytes, sizeof(out->bytes));
    return true;
}

static bool chunk(const struct scan_part *in, struct encoded *out)
{
    struct wire_chunk request;
    if (!accepted(decode_chunk(in, &request, error)))
        return false;
    out->count = encode_stream_chunk(false, request.offset, request.crc32c, 0, out->bytes,
                                     sizeof(out->bytes));
    unwrap(out);
    return true;
}

static bool unpack(const struct scan_part *in, struct encoded *out)
{
    struct wire_unpack request;
    size_t scales_at;
    if (!accepted(decode_unpack(in, &request, error)))
        return false;
    out->count =
        encode_unpack(&request, 0, 0, out->bytes, sizeof(out->bytes), &scales_at);
    return true;
}

static bool reports_get(const struct scan_part *in, struct encoded *out)
{
    struct wire_reports_get request;
    if (!accepted(decode_reports_get(in, &request, error)))
        return false;
    out->count = encode_reports_get(&request, out->bytes, sizeof(out->bytes));
    return true;
}

static bool reports_list(const struct scan_part *in, struct encoded *out)
{
    struct wire_reports_list request;
    if (!accepted(decode_reports_list(in, &request, error)))
        return false;
    out->count = encode_reports_list(&request, out->bytes, sizeof(out->bytes));
    return true;
}

static bool health_check(const struct scan_part *in, struct encoded *out)
{
    char service[HEALTH_SERVICE_BYTES_MAX + 1];
    if (!accepted(decode_health_check(in, service, error)))
        return false;
    out->count = encode_health_check(service, out->bytes, sizeof(out->bytes));
    return true;
}

/* ---- replies -------------------------------------------------------------------- */

static bool projected(const struct scan_part *in, struct encoded *out)
{
    struct wire_projected_head head;
    size_t scales_at;
    if (!accepted(decode_projected(in, &head, error)))
        return false;
    struct wire_projected reply = {.report = head.has_report ? &head.report : NULL,
                                   .encoding = head.encoding,
                                   .dtype = head.tensor.dtype,
                                   .rank = head.tensor.rank,
                                   .shape = head.tensor.shape};
    out->count = encode_projected(&reply, out->bytes, sizeof(out->bytes), &scales_at);
    assert(out->count <= REPLY_HEAD_BYTES_MAX);
    return true;
}

static bool report(const struct scan_part *in, struct encoded *out)
{
    struct trit_report found;
    if (!accepted(decode_report(in->bytes, in->count, &found, error)))
        return false;
    out->count = encode_report(&found, out->bytes, REPORT_BYTES_MAX);
    json_t *json = report_json(&found);
    assert(json);
    json_decref(json);
    return true;
}

static bool report_got(const struct scan_part *in, struct encoded *out)
{
    struct trit_report found;
    if (!accepted(decode_report_got(in, &found, error)))
        return false;
    out->count = encode_report_got(&found, out->bytes, REPORT_BYTES_MAX);
    return true;
}

static bool health(const struct scan_part *in, struct encoded *out)
{
    enum health_status status;
    if (!accepted(decode_health(in, &status, error)))
        return false;
    out->count = encode_health(status, out->bytes, sizeof(out->bytes));
    return true;
}

static bool details(const struct scan_part *in, struct encoded *out)
{
    char field[64] = "";
    if (decode_status_details(in->bytes, in->count, field) != 0)
        return false;
    assert(memchr(field, '\0', sizeof(field)));
    out->count = encode_status_details(TRIT_INTERNAL, field, field, out->bytes,
                                       STATUS_DETAILS_BYTES_MAX);
    return true;
}

static void page_visit(void *arg, const struct trit_report *found)
{
    struct encoded *out = arg;
    if (sizeof(out->bytes) - out->count >= REPORT_BYTES_MAX)
        out->count += encode_report_entry(found, out->bytes + out->count,
                                          sizeof(out->bytes) - out->count);
}

static bool page(const struct scan_part *in, struct encoded *out)
{
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    out->count = 0;
    if (!accepted(
            decode_reports_page(in->bytes, in->count, page_visit, out, token, error)))
        return false;
    out->count += encode_page_token(token, out->bytes + out->count,
                                    sizeof(out->bytes) - out->count);
    return true;
}

/* ---- the history ---------------------------------------------------------------- */

#define HISTORY_REQUEST(name)                                                            \
    static bool name(const struct scan_part *in, struct encoded *out)                    \
    {                                                                                    \
        struct wire_##name request;                                                      \
        if (!accepted(decode_##name(in, &request, error)))                               \
            return false;                                                                \
        out->count = encode_##name(&request, out->bytes, sizeof(out->bytes));            \
        return true;                                                                     \
    }
HISTORY_REQUEST(reports_watch)
HISTORY_REQUEST(reports_compare)
HISTORY_REQUEST(reports_rewind)
HISTORY_REQUEST(reports_fork)
HISTORY_REQUEST(reports_delete)

static bool compared(const struct scan_part *in, struct encoded *out)
{
    struct wire_compared reply;
    if (!accepted(decode_compared(in, &reply, error)))
        return false;
    out->count = encode_compared(&reply, out->bytes, sizeof(out->bytes));
    return true;
}

static decoder *const decoders[] = {
    project,      project_start,  verify,        verify_options,  verify_start,
    tensor,       chunk,          unpack,        reports_get,     reports_list,
    health_check, projected,      report,        report_got,      health,
    details,      page,           reports_watch, reports_compare, reports_rewind,
    reports_fork, reports_delete, compared};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoders(decoders, sizeof(decoders) / sizeof(*decoders), data, size);
}

#include "replay.h"
