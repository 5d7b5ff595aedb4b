/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection, v1 and v1alpha: the services of the table of methods, and the
 * descriptors of the .proto files. What is not known is an error in the reply; the call
 * goes on. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "proto/codec/reflection.h"
#include "proto/descriptors.h"
#include "services/methods.h"
#include "services/service_names.h"
#include "services/shared.h"

enum { FILES_MAX = 64, SERVICES_MAX = 64, TEXT_BYTES = 640 };

static int send(struct call *call, const struct reflection_reply *reply)
{
    size_t count = encode_reflection(reply, NULL);
    uint8_t *bytes = account_alloc(call->account, count);
    int result;

    if (!bytes)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the reply");
    encode_reflection(reply, bytes);
    result = call_write_message(call, bytes, count);
    account_free(call->account, bytes);
    return result;
}

static int send_unknown(struct call *call, struct reflection_reply *reply,
                        const char *what, const char *name)
{
    char text[TEXT_BYTES];

    snprintf(text, sizeof(text), "%s \"%s\" is unknown", what, name);
    reply->answer = REFLECTION_ERROR;
    reply->code = TRIT_NOT_FOUND;
    reply->text = text;
    return send(call, reply);
}

/* ---- files -------------------------------------------------------------------------- */

/* A file and, after it, all that it imports. */
static size_t with_imports(size_t index, struct reflection_item items[FILES_MAX])
{
    size_t count = 0, pending[FILES_MAX], pending_count = 0;
    uint64_t added = (uint64_t)1 << index; /* a bit a file */

    assert(proto_file_count <= FILES_MAX);
    pending[pending_count++] = index;
    while (pending_count > 0) {
        const struct proto_file *file = &proto_files[pending[--pending_count]];

        items[count++] = (struct reflection_item){file->bytes, file->count};
        for (size_t i = 0; i < file->import_count; i++) {
            uint64_t bit = (uint64_t)1 << file->imports[i];

            if (!(added & bit))
                pending[pending_count++] = file->imports[i];
            added |= bit;
        }
    }
    return count;
}

static int send_file(struct call *call, struct reflection_reply *reply, size_t index)
{
    struct reflection_item items[FILES_MAX];

    reply->answer = REFLECTION_FILES;
    reply->items = items;
    reply->item_count = with_imports(index, items);
    return send(call, reply);
}

static int by_file(struct call *call, struct reflection_reply *reply, const char *name)
{
    for (size_t i = 0; i < proto_file_count; i++)
        if (strcmp(proto_files[i].name, name) == 0)
            return send_file(call, reply, i);
    return send_unknown(call, reply, "file", name);
}

static int compare_symbol(const void *name, const void *symbol)
{
    return strcmp(name, ((const struct proto_symbol *)symbol)->name);
}

static const struct proto_symbol *find_symbol(const char *name)
{
    return bsearch(name, proto_symbols, proto_symbol_count, sizeof(proto_symbols[0]),
                   compare_symbol);
}

static int by_symbol(struct call *call, struct reflection_reply *reply, const char *name)
{
    const struct proto_symbol *symbol = find_symbol(name);

    return symbol ? send_file(call, reply, symbol->file)
                  : send_unknown(call, reply, "symbol", name);
}

/* ---- the rest ------------------------------------------------------------------------ */

static int list(struct call *call, struct reflection_reply *reply)
{
    const struct grpc_config *config = call->config;
    struct reflection_item items[SERVICES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < config->method_count && count < SERVICES_MAX; i++) {
        const char *path = config->methods[i]->path;

        if (!service_is_repeated(config, i))
            items[count++] = (struct reflection_item){path + 1, service_length(path)};
    }
    reply->answer = REFLECTION_LIST;
    reply->items = items;
    reply->item_count = count;
    return send(call, reply);
}

/* No message of ours has an extension. */
static int extension_numbers(struct call *call, struct reflection_reply *reply,
                             const char *type)
{
    if (!find_symbol(type))
        return send_unknown(call, reply, "type", type);
    reply->answer = REFLECTION_NUMBERS;
    reply->text = type;
    return send(call, reply);
}

static int message(struct call *call)
{
    struct reflection_reply reply = {.request = &call->scan.parts[PART_ROOT]};
    struct reflection_request request;
    char error[CODEC_ERROR_BYTES];

    if (decode_reflection(reply.request, &request, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    switch (request.kind) {
    case REFLECTION_FILE:
        return by_file(call, &reply, request.name);
    case REFLECTION_SYMBOL:
        return by_symbol(call, &reply, request.name);
    case REFLECTION_EXTENSION:
        return send_unknown(call, &reply, "extension of", request.name);
    case REFLECTION_EXTENSION_NUMBERS:
        return extension_numbers(call, &reply, request.name);
    case REFLECTION_SERVICES:
        return list(call, &reply);
    case REFLECTION_NONE:
        break;
    }
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message_request",
                      "is missing");
}

static int request(struct call *call)
{
    call_end(call);
    return 0;
}

const struct method method_reflection_v1 = {
    .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    .streaming = true,
    .scan = scan_plain,
    .message = message,
    .request = request,
};

const struct method method_reflection_v1alpha = {
    .path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    .streaming = true,
    .scan = scan_plain,
    .message = message,
    .request = request,
};
