/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a verification. */
#include <jansson.h>
#include <stdlib.h>

#include "checkpoint/findings_gguf.h"
#include "checkpoint/findings_model.h"
#include "checkpoint/renamed.h"
#include "client/lib/client.h"
#include "client/lib/verification.h"
#include "proto/json_value.h"

/* ---- the steps to examine -------------------------------------------------------- */

static void plan_bytes(struct trit_verification *v, const struct match_pair *pair)
{
    const struct tensor_entry *latents = &v->latents->entries[pair->latents];

    if (!findings_add_form(&v->findings, &v->claim, pair->claim, v->latents,
                           pair->latents) &&
        latents->bytes > 0)
        v->steps[pair->claim].check = CHECK_BYTES;
}

static void plan_checks(struct trit_verification *v)
{
    for (size_t i = 0; i < v->table->count && !v->latents; i++)
        if (content_is_complete(&v->claim.items[i]))
            v->steps[i].check = CHECK_TERNARY;
    for (size_t i = 0; i < v->match.count; i++) {
        const struct match_pair *pair = &v->match.pairs[i];

        if (pair->claim == CONTENT_NONE)
            continue;
        v->steps[pair->claim].pair = pair;
        if (pair->kind == MATCH_BYTES)
            plan_bytes(v, pair);
        else if (pair->kind == MATCH_PROJECTION &&
                 content_is_complete(&v->claim.items[pair->claim]))
            v->steps[pair->claim].check = CHECK_PROJECTION;
        else if (pair->kind == MATCH_EXTRA_LAYER &&
                 content_is_complete(&v->claim.items[pair->claim]))
            v->steps[pair->claim].check = CHECK_TERNARY;
    }
    /* A layer without experts has nothing to verify. */
    for (size_t i = 0; i < v->table->count; i++)
        if (v->claim.items[i].kind == CONTENT_LAYER &&
            content_matrices(&v->claim.items[i]).count == 0)
            v->steps[i].check = CHECK_NOTHING;
}

static int compare_contents(struct trit_verification *v,
                            const struct checkpoint_options *of_claim,
                            const struct checkpoint_options *of_latents,
                            const struct trit_checkpoint *latents,
                            struct failure *failure)
{
    if (contents_create(&v->of_latents, of_latents, CONTENTS_LATENTS, &v->claim.terms,
                        v->latents, NULL, failure) < 0)
        return -1;
    v->of_latents.nameless = checkpoint_is_nameless(latents);
    if (match_create(&v->match, of_claim, &v->claim, &v->of_latents, failure) < 0)
        return -1;
    match_find_renamed(&v->match, &v->claim, &v->of_latents);
    return 0;
}

/* A side without a config.json uses that of the other side: both are of one model. */
static void share_configs(struct checkpoint_options *rules,
                          struct checkpoint_options *of_latents,
                          const struct trit_checkpoint *latents, bool given)
{
    *of_latents = *rules;
    if (!latents || !latents->has_config || given)
        return;
    of_latents->config = &latents->config;
    if (!rules->config)
        rules->config = &latents->config;
}

static const struct model_config *checkpoint_model(const struct trit_checkpoint *of)
{
    return config_of_model(&of->config, of->has_config,
                           of->reader && reader_is_folder(of->reader));
}

static int verification_read(struct trit_verification *v,
                             const struct trit_checkpoint *claim,
                             const struct trit_checkpoint *latents,
                             struct options_given *options, struct failure *failure)
{
    const bool latent = options->all.mode == TRIT_VERIFY_LATENT;
    struct checkpoint_options *rules = &options->rules, of_latents;

    share_configs(rules, &of_latents, latents, options->all.config != NULL);
    if (options_check_patterns(rules, v->table, v->latents, failure) < 0 ||
        (!latent && record_read(&v->record, v->table, failure) < 0))
        return -1;
    const struct layer_terms terms =
        latent ? terms_of(rules, NULL) : terms_of_claim(rules, &v->record, v->table);

    if (contents_create(&v->claim, rules, latent ? CONTENTS_LATENTS : CONTENTS_CLAIM,
                        &terms, v->table, &v->record, failure) < 0)
        return -1;
    v->claim.nameless = checkpoint_is_nameless(claim);
    v->has_config = rules->config != NULL;
    v->reciprocal = !v->record.layers && config_has_reciprocals(rules->config);
    if (latents && compare_contents(v, rules, &of_latents, latents, failure) < 0)
        return -1;
    checkpoint_add_notes_of_claim(claim, &v->findings);
    if (latents)
        checkpoint_add_notes(latents, &v->findings);
    findings_add_contents(&v->findings, rules, &v->claim, latents ? &v->of_latents : NULL,
                          options->all.accept_record);
    findings_add_model(&v->findings, rules, checkpoint_model(claim), &v->claim,
                       latents ? &v->of_latents : NULL);
    if (!latents)
        return 0;
    findings_add_match(&v->findings, &v->match, &v->claim, &v->of_latents);
    findings_add_gguf(&v->findings, v->table, v->latents, checkpoint_model(latents));
    return 0;
}

static int verification_init(struct trit_verification *v,
                             const struct trit_checkpoint *claim,
                             const struct trit_checkpoint *latents,
                             struct options_given *options, struct failure *failure)
{
    v->table = claim->table;
    v->latents = latents ? latents->table : NULL;
    findings_init(&v->findings);
    v->compared = CONTENT_NONE;
    v->allow_dead = options->all.allow_dead;
    v->steps = calloc(v->table->count + 1, sizeof(*v->steps));
    if (!v->steps)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (verification_read(v, claim, latents, options, failure) < 0)
        return -1;
    plan_checks(v);
    return 0;
}

enum trit_status trit_verification_create(struct trit_verification **verification,
                                          struct trit_checkpoint *claim,
                                          struct trit_checkpoint *latents,
                                          const struct trit_checkpoint_options *options,
                                          struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_verification *made = NULL;
    struct options_given given = {.rules = {.config = NULL}};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !claim) {
        fail_null(&failure, !verification ? "verification" : "claim");
    } else if (options_take(options, claim, &given, &failure) == 0 &&
               checkpoint_seal(claim, &failure) == 0 &&
               (!latents || checkpoint_seal(latents, &failure) == 0)) {
        made = calloc(1, sizeof(*made));
        if (!made) {
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        } else {
            if (verification_init(made, claim, latents, &given, &failure) == 0) {
                *verification = made;
                made = NULL;
            }
        }
    }
    trit_verification_free(made);
    options_drop(&given);
    return client_answer(&failure, error);
}

void trit_verification_free(struct trit_verification *verification)
{
    if (!verification)
        return;
    findings_fini(&verification->findings);
    attested_fini(&verification->digests);
    match_destroy(&verification->match);
    contents_destroy(&verification->of_latents);
    contents_destroy(&verification->claim);
    record_fini(&verification->record);
    free(verification->steps);
    free(verification);
}

/* ---- the steps as JSON ---------------------------------------------------------- */

static const char *check_name(enum check check)
{
    return check == CHECK_BYTES     ? "bytes"
           : check == CHECK_TERNARY ? "ternary"
                                    : "projection";
}

static bool put_layer(json_t *object, const struct contents *claim, size_t index)
{
    const struct content *item = &claim->items[index];
    const struct matrices matrix = content_matrices(item);
    const uint64_t shape[] = {matrix.rows, matrix.columns};
    const bool turned = matrix.transposed && encoding_keeps_layout(item->terms.encoding);

    return json_put(object, "matrix", json_shape(2, shape)) &&
           json_put(object, "matrices", json_uint64(matrix.count)) &&
           json_put(object, "transposed", json_boolean(turned)) &&
           json_put(object, "dtype", json_string(item->dense.type->name)) &&
           json_put_terms(object, &item->terms) &&
           (!content_is_foreign(item) ||
            json_put(object, "packed_as", json_string(packing_name(item->packing)))) &&
           json_put_tensor(object, "scales", claim->table, item->scales) &&
           json_put_tensor(object, "biases", claim->table, item->biases);
}

/* The names of the experts, which are one tensor each. */
static bool put_parts(json_t *latents, const struct trit_verification *v,
                      const struct step *step)
{
    const uint64_t count = content_matrices(&v->claim.items[step->pair->claim]).count;
    json_t *names = json_array();
    bool good = json_put(latents, "parts", names);

    for (uint64_t i = 0; good && i < count; i++)
        good =
            json_array_append_new(
                names, json_string(v->latents->entries[step->pair->parts[i]].name)) == 0;
    return good;
}

static bool put_latents(json_t *object, const struct trit_verification *v,
                        const struct step *step)
{
    const size_t index = step->pair->latents;

    if (step->check == CHECK_TERNARY)
        return true;
    if (!json_put_tensor(object, "latents", v->latents, index))
        return false;
    const struct tensor_entry *entry = &v->latents->entries[index];
    json_t *latents = json_object_get(object, "latents");
    if (step->pair->parts && !put_parts(latents, v, step))
        return false;
    const struct head_order *heads = &step->pair->heads;
    if (heads->rows && !json_put(latents, "heads",
                                 json_pack("{s:o, s:b}", "rows", json_uint64(heads->rows),
                                           "interleaves", heads->interleaves)))
        return false;
    if (step->check == CHECK_BYTES)
        return true;
    const struct matrices matrices =
        matrices_of(step->pair->layout, entry->rank, entry->shape);
    return json_put(latents, "transposed", json_boolean(matrices.transposed)) &&
           json_put(latents, "matrices", json_uint64(matrices.count)) &&
           json_put(latents, "first", json_uint64(step->pair->first));
}

static json_t *step_json(const struct trit_verification *v, size_t index)
{
    const struct step *step = &v->steps[index];
    json_t *object = json_object();

    if (json_put(object, "tensor", json_string(v->table->entries[index].name)) &&
        json_put(object, "check", json_string(check_name(step->check))) &&
        (step->check == CHECK_BYTES || put_layer(object, &v->claim, index)) &&
        (!step->pair || put_latents(object, v, step)))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *steps_json(const struct trit_verification *v)
{
    json_t *object = json_object(), *steps = json_array();
    bool good =
        json_put(object, "steps", steps) && json_put_terms(object, &v->claim.terms);

    for (size_t i = 0; good && i < v->table->count; i++)
        if (v->steps[i].check != CHECK_NOTHING)
            good = json_array_append_new(steps, step_json(v, i)) == 0;
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_verification_steps(const struct trit_verification *verification,
                                         char **json, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !json)
        fail_null(&failure, !verification ? "verification" : "json");
    else
        json_give(steps_json(verification), json, &failure);
    return client_answer(&failure, error);
}
