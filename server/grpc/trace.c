/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/trace.h"

#include <string.h>

#include "base/clock.h"
#include "grpc/grpc.h"
#include "obs/log.h"
#include "obs/metrics.h"

/* "00-" 32 hex "-" 16 hex "-" 2 hex, lower case. */
static bool is_traceparent(const char *text)
{
    static const char form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

    for (size_t i = 0; i < sizeof(form); i++)
        if (form[i] == 'h' ? !text[i] || !strchr("0123456789abcdef", text[i])
                           : text[i] != form[i])
            return false;
    return true;
}

/* Up to `bytes` - 1 characters of `text`, which may be NULL. */
static void copy_text(char *out, size_t bytes, const char *text)
{
    const size_t length = text ? strnlen(text, bytes - 1) : 0;

    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

/* The values of both fields, found in one pass; NULL: there is none, or it is no text. */
static void find_ids(const struct request_headers *headers, const char **id,
                     const char **parent)
{
    static const char id_name[] = "x-request-id", parent_name[] = "traceparent";

    *id = *parent = NULL;
    for (size_t i = 0; i < headers->count; i++) {
        const struct h2_header *field = &headers->fields[i];

        if (field->name_len == sizeof(id_name) - 1 && !*id &&
            memcmp(field->name, id_name, sizeof(id_name) - 1) == 0)
            *id = field->value;
        else if (field->name_len == sizeof(parent_name) - 1 && !*parent &&
                 memcmp(field->name, parent_name, sizeof(parent_name) - 1) == 0)
            *parent = field->value;
    }
    *id = *id && metadata_is_text(*id) ? *id : NULL;
    *parent = *parent && metadata_is_text(*parent) ? *parent : NULL;
}

void call_trace_read(struct call_trace *trace, const struct request_headers *headers,
                     const char *caller)
{
    const char *id, *parent;

    find_ids(headers, &id, &parent);
    copy_text(trace->caller, sizeof(trace->caller), caller);
    copy_text(trace->request_id, sizeof(trace->request_id), id);
    copy_text(trace->traceparent, sizeof(trace->traceparent),
              parent && is_traceparent(parent) ? parent : NULL);
}

/* The name in the token file, or else the subject of the certificate. */
static const char *caller_of(const struct call_ended *ended)
{
    if (ended->trace && ended->trace->caller[0])
        return ended->trace->caller;
    return ended->peer ? ended->peer->subject : NULL;
}

static size_t add(struct log_field *fields, size_t count, const char *key,
                  const char *value)
{
    if (!value || value[0] == '\0')
        return count;
    fields[count] = (struct log_field)LOG_STR(key, value);
    return count + 1;
}

void call_trace_end(const struct grpc_config *config, const struct call_ended *ended)
{
    const struct failure *failure = ended->failure;
    uint64_t took_ns = clock_monotonic_ns() - ended->started_ns;
    const enum log_level level = failure->status == TRIT_OK ? LOG_DEBUG : LOG_INFO;
    struct log_field fields[9 + CALL_LABELS_MAX];
    size_t count = 0;

    metric_call(config->metrics, ended->method_id, failure->status, took_ns);
    if (!log_wants(config->log, level))
        return;
    fields[count++] = (struct log_field)LOG_STR("method", ended->path);
    fields[count++] = (struct log_field)LOG_STR("status", status_name(failure->status));
    fields[count++] = (struct log_field)LOG_U64("took_us", took_ns / 1000);
    count = add(fields, count, "peer", ended->peer ? ended->peer->address : NULL);
    count = add(fields, count, "caller", caller_of(ended));
    for (size_t i = 0; i < ended->label_count; i++)
        count = add(fields, count, ended->labels[i].key, ended->labels[i].value);
    if (ended->trace) {
        count = add(fields, count, "request_id", ended->trace->request_id);
        count = add(fields, count, "traceparent", ended->trace->traceparent);
    }
    count = add(fields, count, "message", failure->message);
    fields[count] = (struct log_field){.kind = LOG_KIND_END};
    log_event(config->log, level, "rpc_end", fields);
}
