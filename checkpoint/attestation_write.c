/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>

#include "checkpoint/attestation.h"
#include "checkpoint/json.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"
#include "json/json.h"

/* Appends and takes ownership; a NULL value gives false. */
static bool append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0;
}

static json_t *array_if(json_t *array, bool good)
{
    if (good)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *files_json(const struct attested_list *files)
{
    json_t *array = json_array();
    char hex[DIGEST_HEX_BYTES];
    bool good = array != NULL;

    for (size_t i = 0; good && i < files->count; i++)
        good = append(array,
                      json_pack("{s:s, s:{s:s}}", "name", files->list[i].name, "digest",
                                "sha256", digest_hex(hex, files->list[i].digest)));
    return array_if(array, good);
}

static json_t *layers_json(const struct attested_list *layers)
{
    json_t *array = json_array();
    char hex[DIGEST_HEX_BYTES];
    bool good = array != NULL;

    for (size_t i = 0; good && i < layers->count; i++) {
        const struct attested *layer = &layers->list[i];
        json_t *item = json_object();

        good = json_put(item, "layer", json_string(layer->name)) &&
               json_put_terms(item, &layer->terms) &&
               json_put(item, "max_round_error", json_number(layer->max_round_error)) &&
               json_put(item, "digest", json_string(digest_hex(hex, layer->digest)));
        good = append(array, good ? item : (json_decref(item), NULL));
    }
    return array_if(array, good);
}

/* How many findings there are of each kind and severity. */
static json_t *findings_summary(const struct file_findings *findings)
{
    uint64_t counts[TRIT_FINDING_KINDS][TRIT_SEVERITY_ERROR + 1] = {{0}};
    json_t *array = json_array();
    bool good = array != NULL;

    for (size_t i = 0; i < findings->count; i++) {
        const struct trit_finding *finding = &findings->list[i].finding;

        counts[finding->kind < TRIT_FINDING_KINDS ? finding->kind : TRIT_FINDING_UNKNOWN]
              [finding->severity]++;
    }
    for (unsigned kind = 0; kind < TRIT_FINDING_KINDS; kind++)
        for (unsigned level = 0; good && level <= TRIT_SEVERITY_ERROR; level++)
            if (counts[kind][level])
                good = append(
                    array, json_pack("{s:s, s:s, s:o}", "kind",
                                     finding_kind_name((enum trit_finding_kind)kind),
                                     "severity", severity_name((enum trit_severity)level),
                                     "count", json_uint64(counts[kind][level])));
    return array_if(array, good);
}

/* The plan: what each tensor is. */
static json_t *tensors_json(const struct contents *contents)
{
    json_t *array = json_array();
    bool good = array != NULL;

    for (size_t i = 0; good && i < contents->table->count; i++) {
        json_t *item = json_entry(&contents->table->entries[i]);

        good = json_put(item, "kind",
                        json_string(content_kind_name(contents->items[i].kind)));
        good = append(array, good ? item : (json_decref(item), NULL));
    }
    return array_if(array, good);
}

static json_t *versions_json(const struct attestation_facts *facts)
{
    json_t *versions = json_object();
    const bool good =
        json_put(versions, "trit", json_string(facts->client)) &&
        (!*facts->daemon || json_put(versions, "tritd", json_string(facts->daemon)));

    return array_if(versions, good);
}

static json_t *predicate_json(const struct attestation *attestation,
                              const struct attestation_facts *facts)
{
    const uint64_t all = facts->examined + facts->kept;
    json_t *predicate = json_object();
    const bool good =
        json_put(predicate, "verdict", json_string(verdict_name(attestation->verdict))) &&
        json_put(predicate, "findings", findings_summary(facts->findings)) &&
        json_put_terms(predicate, &attestation->terms) &&
        json_put(predicate, "examined", json_uint64(facts->examined)) &&
        json_put(predicate, "kept", json_uint64(facts->kept)) &&
        json_put(predicate, "share_examined",
                 json_real(all ? (double)facts->examined / (double)all : 0)) &&
        json_put(predicate, "layers", layers_json(&attestation->layers)) &&
        json_put(predicate, "tensors", tensors_json(facts->contents)) &&
        (attestation->latents.count == 0 ||
         json_put(predicate, "latents", files_json(&attestation->latents))) &&
        json_put(predicate, "versions", versions_json(facts));

    return array_if(predicate, good);
}

/* What could not be read again is not written. */
static int check_names(const struct attested_list *files, struct failure *failure)
{
    for (size_t i = 0; i < files->count; i++)
        if (!attested_can_name(files->list[i].name))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "a statement cannot name the file \"%.256s\": its name has "
                        "control characters or is not UTF-8; rename it",
                        files->list[i].name);
    return 0;
}

int attestation_write(const struct attestation *attestation,
                      const struct attestation_facts *facts, char **text, size_t *bytes,
                      struct failure *failure)
{
    if (check_names(&attestation->files, failure) < 0 ||
        check_names(&attestation->latents, failure) < 0)
        return -1;
    json_t *statement = json_object();
    const bool good =
        json_put(statement, "_type", json_string("https://in-toto.io/Statement/v1")) &&
        json_put(statement, "subject", files_json(&attestation->files)) &&
        json_put(statement, "predicateType", json_string(ATTESTATION_TYPE)) &&
        json_put(statement, "predicate", predicate_json(attestation, facts));
    char *printed =
        good ? json_print(statement, JSON_PRINT_INDENTED | JSON_PRINT_NEWLINE, bytes)
             : NULL;

    json_decref(statement);
    if (!printed)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (*bytes > ATTESTATION_BYTES_MAX) {
        free(printed);
        return fail(
            failure, TRIT_RESOURCE_EXHAUSTED, NULL,
            "the statement has %zu bytes, of which at most %d could be read again",
            *bytes, ATTESTATION_BYTES_MAX);
    }
    *text = printed;
    return 0;
}
