/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/verify.h"

#include <jansson.h>

#include "checkpoint/compare.h"
#include "checkpoint/findings_gguf.h"
#include "checkpoint/findings_model.h"
#include "checkpoint/notes.h"
#include "checkpoint/renamed.h"
#include "drive/verify_impl.h"
#include "drive/verify_rotated.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

void verify_init(struct verifying *v)
{
    *v = (struct verifying){.engine = NULL};
    findings_init(&v->findings);
    pthread_mutex_init(&v->whole, NULL);
}

void verify_fini(struct verifying *v)
{
    match_destroy(&v->match);
    rotation_fini(&v->rotation);
    contents_destroy(&v->claim);
    contents_destroy(&v->latents);
    findings_fini(&v->findings);
    attested_fini(&v->digests);
    record_fini(&v->record);
    input_close(&v->against);
    input_close(&v->file);
    pthread_mutex_destroy(&v->whole);
}

/* ---- what the tensors are ---------------------------------------------------------- */

static struct checkpoint_options rules_of(const struct verifying *v,
                                          const struct input *input)
{
    struct checkpoint_options rules = v->options;

    rules.config = input->has_config ? &input->config : NULL;
    rules.read_small = reader_read_small;
    rules.read_arg = input->reader;
    return rules;
}

/* A side without a config.json uses that of the other side: both are of one model. */
static void take_configs(struct verifying *v)
{
    v->rules = rules_of(v, &v->file);
    v->latents_rules = rules_of(v, &v->against);
    if (!v->rules.config)
        v->rules.config = v->latents_rules.config;
    if (!v->latents_rules.config)
        v->latents_rules.config = v->rules.config;
}

int verify_read_terms(struct verifying *v, struct layer_terms *terms)
{
    const struct tensor_table *table = reader_table(v->file.reader);

    take_configs(v);
    if (v->mode == TRIT_VERIFY_LATENT) {
        *terms = terms_of(&v->rules, NULL); /* config.json tells how claims are packed */
        return terms->encoding == TRIT_ENCODING_DENSE
                   ? 0
                   : fail_field(&v->failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                                "latents are dense, not %s",
                                encoding_name(terms->encoding));
    }
    if (record_read(&v->record, table, &v->failure) < 0)
        return -1;
    *terms = terms_of_claim(&v->rules, &v->record, table);
    return 0;
}

static int compare_contents(struct verifying *v, const struct layer_terms *terms)
{
    if (contents_create(&v->latents, &v->latents_rules, CONTENTS_LATENTS, terms,
                        reader_table(v->against.reader), NULL, &v->failure) < 0)
        return -1;
    v->latents.nameless = input_is_array(&v->against);
    if (match_create(&v->match, &v->rules, &v->claim, &v->latents, &v->failure) < 0)
        return -1;
    match_find_renamed(&v->match, &v->claim, &v->latents);
    return 0;
}

static void add_notes(struct verifying *v)
{
    size_t count;
    const struct reader_note *notes = reader_notes(v->file.reader, &count);

    findings_add_notes_of_claim(&v->findings, notes, count);
    if (!v->against.reader)
        return;
    notes = reader_notes(v->against.reader, &count);
    findings_add_notes(&v->findings, notes, count);
}

static const struct model_config *input_model(const struct input *input)
{
    return config_of_model(&input->config, input->has_config,
                           reader_is_folder(input->reader));
}

/* As latents (TRIT_VERIFY_LATENT) the file is read without its record. */
int verify_read_contents(struct verifying *v, const struct layer_terms *terms)
{
    const bool latent = v->mode == TRIT_VERIFY_LATENT;
    const bool against = v->against.reader != NULL;

    if (contents_create(&v->claim, &v->rules, latent ? CONTENTS_LATENTS : CONTENTS_CLAIM,
                        terms, reader_table(v->file.reader), &v->record, &v->failure) < 0)
        return -1;
    v->claim.nameless = input_is_array(&v->file);
    if (against && compare_contents(v, terms) < 0)
        return -1;
    if (verify_read_rotation(v) < 0)
        return -1;
    add_notes(v);
    findings_add_contents(&v->findings, &v->rules, &v->claim,
                          against ? &v->latents : NULL, v->accept_record);
    findings_add_model(&v->findings, &v->rules, input_model(&v->file), &v->claim,
                       against ? &v->latents : NULL);
    verify_note_rotation(v);
    if (!against)
        return 0;
    findings_add_match(&v->findings, &v->match, &v->claim, &v->latents);
    findings_add_gguf(&v->findings, v->claim.table, v->latents.table,
                      input_model(&v->against));
    return 0;
}

bool verify_has_layers(const struct verifying *v)
{
    for (size_t i = 0; i < v->claim.table->count; i++)
        if (content_is_complete(&v->claim.items[i]))
            return true;
    return false;
}

uint64_t verify_bytes(const struct verifying *v)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < v->claim.table->count; i++)
        bytes += v->claim.table->entries[i].bytes;
    return bytes;
}

/* ---- all pieces -------------------------------------------------------------------- */

int verify_run(struct verifying *v)
{
    if (verify_pieces(v) < 0 || reader_unchanged(v->file.reader, &v->failure) < 0 ||
        (v->against.reader && reader_unchanged(v->against.reader, &v->failure) < 0))
        return -1;
    for (size_t i = 0; i < v->claim.table->count; i++)
        v->kept += content_parameters(&v->claim, i);
    v->kept -= v->examined;
    if (v->layers == 0)
        findings_add_nothing(&v->findings);
    return 0;
}

/* ---- the result -------------------------------------------------------------------- */

double verify_share(const struct verifying *v)
{
    const uint64_t all = v->examined + v->kept;

    return all ? (double)v->examined / (double)all : 0.0;
}

json_t *verify_json(const struct verifying *v, const char *file, const char *against,
                    json_t *layers)
{
    const enum trit_verdict verdict = findings_verdict(&v->findings);

    return json_pack("{s:o, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:f, s:o, s:O}", "file",
                     json_path(file), "against", json_path(against), "encoding",
                     encoding_name(v->claim.terms.encoding), "verdict",
                     verdict_name(verdict), "passed", verdict == TRIT_VERDICT_PASS,
                     "findings", findings_json(&v->findings), "examined",
                     json_uint64(v->examined), "kept", json_uint64(v->kept),
                     "share_examined", verify_share(v), "others", others_json(&v->claim),
                     "layers", layers);
}
