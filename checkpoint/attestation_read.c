/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a statement. Members that are not needed are ignored, as in-toto wants it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "checkpoint/attestation.h"
#include "kernels/kernels.h"
#include "proto/base64.h"
#include "proto/finding.h"
#include "proto/utf8.h"
#include "json/json.h"

static const char payload_type[] = "application/vnd.in-toto+json";

static int refuse(struct failure *failure, const char *field, const char *what)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field, "%s", what);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ---- files and layers ------------------------------------------------------------ */

static int add(struct attested_list *list, const char *name, const char *hex,
               const struct layer_terms *terms, const char *field,
               struct failure *failure)
{
    uint8_t digest[TRIT_DIGEST_BYTES];

    if (!hex || !digest_read(hex, digest))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "the digest of \"%.200s\" is not a SHA-256 of 64 lower-case "
                          "hexadecimal digits",
                          name);
    return attested_add(list, name, digest, terms, failure);
}

static int add_file(struct attested_list *list, const json_t *file, const char *field,
                    struct failure *failure)
{
    const char *name = text_of(file, "name");

    if (!name || !attested_can_name(name))
        return refuse(failure, field,
                      "a name is not the name of a file without a folder; use the "
                      "statement that trit attest wrote");
    return add(list, name, text_of(json_object_get(file, "digest"), "sha256"), NULL,
               field, failure);
}

static int add_layer(struct attested_list *list, const json_t *layer, const char *field,
                     struct failure *failure)
{
    const char *name = text_of(layer, "layer"), *encoding = text_of(layer, "encoding");
    const json_int_t size = json_integer_value(json_object_get(layer, "group_size"));
    struct layer_terms terms = {.encoding = TRIT_ENCODING_DENSE};

    if (!name || !utf8_is_name(name) || strlen(name) >= MATRIX_NAME_BYTES)
        return refuse(failure, field, "a layer has no name that a layer can have");
    if (!encoding || !encoding_by_name(encoding, &terms.encoding) || size < 0 ||
        size > UINT32_MAX)
        return refuse(failure, field, "the encoding or group size of a layer is unknown");
    terms.group_size = (uint32_t)size;
    return add(list, name, text_of(layer, "digest"), &terms, field, failure);
}

typedef int (*add_fn)(struct attested_list *list, const json_t *item, const char *field,
                      struct failure *failure);

static int read_list(struct attested_list *list, const json_t *array, add_fn add_item,
                     const char *field, struct failure *failure)
{
    if (!json_is_array(array))
        return refuse(failure, field, "must be an array");
    if (json_array_size(array) > ATTESTED_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "has %zu items, at most %d are allowed", json_array_size(array),
                          ATTESTED_MAX);
    for (size_t i = 0; i < json_array_size(array); i++)
        if (add_item(list, json_array_get(array, i), field, failure) < 0)
            return -1;
    const char *twice = attested_sort(list);
    return twice ? fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                              "\"%.200s\" stands twice", twice)
                 : 0;
}

/* ---- the statement --------------------------------------------------------------- */

static int read_verdict(struct attestation *attestation, const json_t *predicate,
                        struct failure *failure)
{
    static const enum trit_verdict verdicts[] = {TRIT_VERDICT_PASS, TRIT_VERDICT_FAIL,
                                                 TRIT_VERDICT_INCONCLUSIVE};
    const char *name = text_of(predicate, "verdict");

    for (size_t i = 0; name && i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (strcmp(name, verdict_name(verdicts[i])) == 0) {
            attestation->verdict = verdicts[i];
            return 0;
        }
    return refuse(failure, "predicate.verdict",
                  "must be \"pass\", \"fail\" or \"inconclusive\"");
}

static int read_predicate(struct attestation *attestation, const json_t *predicate,
                          struct failure *failure)
{
    const char *encoding = text_of(predicate, "encoding");
    const json_int_t size = json_integer_value(json_object_get(predicate, "group_size"));
    const json_t *latents = json_object_get(predicate, "latents");

    if (read_verdict(attestation, predicate, failure) < 0)
        return -1;
    if (!encoding || !encoding_by_name(encoding, &attestation->terms.encoding))
        return refuse(failure, "predicate.encoding", "is not a known encoding");
    if (size < 0 || size > UINT32_MAX)
        return refuse(failure, "predicate.group_size", "must be from 0 to 2^32-1");
    attestation->terms.group_size = (uint32_t)size;
    if (read_list(&attestation->layers, json_object_get(predicate, "layers"), add_layer,
                  "predicate.layers", failure) < 0)
        return -1;
    return latents ? read_list(&attestation->latents, latents, add_file,
                               "predicate.latents", failure)
                   : 0;
}

static int read_statement(struct attestation *attestation, const json_t *statement,
                          struct failure *failure)
{
    const char *type = text_of(statement, "_type");
    const char *predicate = text_of(statement, "predicateType");

    if (!type || strcmp(type, "https://in-toto.io/Statement/v1") != 0)
        return refuse(failure, "_type", "must be \"https://in-toto.io/Statement/v1\"");
    if (!predicate || strcmp(predicate, ATTESTATION_TYPE) != 0)
        return refuse(failure, "predicateType", "must be \"" ATTESTATION_TYPE "\"");
    if (read_list(&attestation->files, json_object_get(statement, "subject"), add_file,
                  "subject", failure) < 0)
        return -1;
    if (attestation->files.count == 0)
        return refuse(failure, "subject", "has no files");
    return read_predicate(attestation, json_object_get(statement, "predicate"), failure);
}

/* ---- the text -------------------------------------------------------------------- */

static json_t *parse(const char *text, size_t bytes, struct failure *failure)
{
    struct json_fault fault;
    json_t *json = json_read(text, bytes, JSON_READ_UNIQUE_KEYS, &fault);

    if (!json)
        fail(failure, json_fault_status(&fault), NULL,
             "it is not the JSON of a statement: line %zu: %s", fault.line, fault.words);
    return json;
}

/* Base64 in either alphabet: DSSE allows both. */
static json_t *open_envelope(const json_t *envelope, struct failure *failure)
{
    const char *type = text_of(envelope, "payloadType");
    const json_t *payload = json_object_get(envelope, "payload");
    const size_t length = json_string_length(payload);
    json_t *statement = NULL;
    char *text;
    ptrdiff_t bytes;

    if (!type || strcmp(type, payload_type) != 0 || !json_is_string(payload)) {
        refuse(failure, "payloadType", "must be \"application/vnd.in-toto+json\"");
        return NULL;
    }
    text = malloc(length + 1);
    if (!text) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    memcpy(text, json_string_value(payload), length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    /* The bytes never overtake the characters that they are read from. */
    bytes = base64_decode(text, length, (uint8_t *)text, length);
    if (bytes < 0)
        refuse(failure, "payload", "is not base64");
    else
        statement = parse(text, (size_t)bytes, failure);
    free(text);
    return statement;
}

static json_t *find_statement(json_t *json, bool *in_envelope, struct failure *failure)
{
    const json_t *bundle = json_object_get(json, "dsseEnvelope");
    const json_t *envelope = bundle ? bundle : json;

    *in_envelope = bundle || json_object_get(envelope, "payload");
    return *in_envelope ? open_envelope(envelope, failure) : json_incref(json);
}

int attestation_read(struct attestation *attestation, const char *text, size_t bytes,
                     struct failure *failure)
{
    *attestation = (struct attestation){.in_envelope = false};
    if (bytes > ATTESTATION_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "a statement of %zu bytes is too large; at most %d are read", bytes,
                    ATTESTATION_BYTES_MAX);
    json_t *json = parse(text, bytes, failure);
    json_t *statement =
        json ? find_statement(json, &attestation->in_envelope, failure) : NULL;
    const int result = statement ? read_statement(attestation, statement, failure) : -1;

    json_decref(statement);
    json_decref(json);
    return result;
}

void attestation_fini(struct attestation *attestation)
{
    attested_fini(&attestation->files);
    attested_fini(&attestation->layers);
    attested_fini(&attestation->latents);
}
