/* SPDX-License-Identifier: Apache-2.0 */
/* A verification: the steps to examine and the findings so far. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/compare.h"
#include "checkpoint/renamed.h"
#include "client/lib/checkpoint.h"
#include "client/lib/client.h"
#include "proto/finding.h"

enum check {
    CHECK_NOTHING, /* the findings have it already, or there is nothing to be found */
    CHECK_TERNARY,
    CHECK_PROJECTION,
    CHECK_BYTES,
};

struct trit_verification {
    const struct tensor_table *table;   /* of the claim */
    const struct tensor_table *latents; /* or NULL */
    struct record record;
    struct contents claim, of_latents;
    struct match match;
    enum check *checks; /* one for each tensor of the claim */
    bool *done;         /* likewise */
    bool allow_dead;
    size_t reports;    /* given so far */
    uint64_t examined; /* parameters of theirs */
    struct file_findings findings;
    bool concluded; /* the finding about nothing examined was considered */
    /* The tensor that is being compared. */
    size_t compared; /* its index, or CONTENT_NONE */
    uint64_t fed;    /* bytes of it so far */
    struct difference difference;
};

/* ---- the steps to examine -------------------------------------------------------- */

static void plan_bytes(struct trit_verification *v, const struct match_pair *pair)
{
    const struct tensor_entry *latents = &v->latents->entries[pair->latents];

    if (!findings_add_form(&v->findings, &v->claim, pair->claim, latents) &&
        latents->bytes > 0)
        v->checks[pair->claim] = CHECK_BYTES;
}

static void plan_checks(struct trit_verification *v)
{
    for (size_t i = 0; i < v->table->count && !v->latents; i++)
        if (content_is_complete(&v->claim.items[i]))
            v->checks[i] = CHECK_TERNARY;
    for (size_t i = 0; i < v->match.count; i++) {
        const struct match_pair *pair = &v->match.pairs[i];

        if (pair->kind == MATCH_BYTES)
            plan_bytes(v, pair);
        else if (pair->kind == MATCH_PROJECTION &&
                 content_is_complete(&v->claim.items[pair->claim]))
            v->checks[pair->claim] = CHECK_PROJECTION;
        else if (pair->kind == MATCH_EXTRA_LAYER &&
                 content_is_complete(&v->claim.items[pair->claim]))
            v->checks[pair->claim] = CHECK_TERNARY;
    }
}

static int compare_contents(struct trit_verification *v,
                            const struct options_given *options, struct failure *failure)
{
    if (contents_create(&v->of_latents, &options->rules, CONTENTS_LATENTS,
                        &v->claim.terms, v->latents, NULL, failure) < 0 ||
        match_create(&v->match, &options->rules, &v->claim, &v->of_latents, failure) < 0)
        return -1;
    match_find_renamed(&v->match, &v->claim, &v->of_latents);
    return 0;
}

static int verification_init(struct trit_verification *v,
                             const struct options_given *options, struct failure *failure)
{
    const bool latent = options->all.mode == TRIT_VERIFY_LATENT;

    findings_init(&v->findings);
    v->compared = CONTENT_NONE;
    v->allow_dead = options->all.allow_dead;
    v->checks = calloc(v->table->count + 1, sizeof(*v->checks));
    v->done = calloc(v->table->count + 1, sizeof(*v->done));
    if (!v->checks || !v->done)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (options_check_patterns(&options->rules, v->table, v->latents, failure) < 0 ||
        (!latent && record_read(&v->record, v->table, failure) < 0))
        return -1;
    const struct layer_terms terms = terms_of(&options->rules, &v->record);

    if (contents_create(&v->claim, &options->rules,
                        latent ? CONTENTS_LATENTS : CONTENTS_CLAIM, &terms, v->table,
                        &v->record, failure) < 0)
        return -1;
    if (v->latents && compare_contents(v, options, failure) < 0)
        return -1;
    findings_add_contents(&v->findings, &options->rules, &v->claim,
                          v->latents ? &v->of_latents : NULL, options->all.accept_record);
    if (v->latents)
        findings_add_match(&v->findings, &v->match, &v->claim, &v->of_latents);
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
    struct options_given given;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !claim) {
        fail_null(&failure, !verification ? "verification" : "claim");
    } else if (options_take(options, &given, &failure) == 0 &&
               checkpoint_seal(claim, &failure) == 0 &&
               (!latents || checkpoint_seal(latents, &failure) == 0)) {
        made = calloc(1, sizeof(*made));
        if (!made) {
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        } else {
            made->table = &claim->table;
            made->latents = latents ? &latents->table : NULL;
            if (verification_init(made, &given, &failure) == 0) {
                *verification = made;
                made = NULL;
            }
        }
    }
    trit_verification_free(made);
    return client_answer(&failure, error);
}

void trit_verification_free(struct trit_verification *verification)
{
    if (!verification)
        return;
    findings_fini(&verification->findings);
    match_destroy(&verification->match);
    contents_destroy(&verification->of_latents);
    contents_destroy(&verification->claim);
    record_fini(&verification->record);
    free(verification->checks);
    free(verification->done);
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
    const struct tensor_entry *scales =
        item->scales == CONTENT_NONE ? NULL : &claim->table->entries[item->scales];

    return json_put(object, "matrix", json_shape(2, shape)) &&
           json_put(object, "dtype", json_string(item->dense.type->name)) &&
           json_put_terms(object, &item->terms) &&
           (!scales || json_put(object, "scales",
                                json_pack("{s:s, s:s}", "name", scales->name, "dtype",
                                          scales->type->name)));
}

static json_t *step_json(const struct trit_verification *v, size_t index)
{
    json_t *object = json_object();

    if (json_put(object, "tensor", json_string(v->table->entries[index].name)) &&
        json_put(object, "check", json_string(check_name(v->checks[index]))) &&
        (v->checks[index] == CHECK_BYTES || put_layer(object, &v->claim, index)))
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
        if (v->checks[i] != CHECK_NOTHING)
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

/* ---- what was examined ---------------------------------------------------------- */

/* A step of the tensor that is not done yet. */
static int find_step(const struct trit_verification *v, const char *tensor, bool bytes,
                     size_t *index, struct failure *failure)
{
    if (checkpoint_find(v->table, tensor, index, failure) < 0)
        return -1;
    if (v->checks[*index] == CHECK_NOTHING || (v->checks[*index] == CHECK_BYTES) != bytes)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" is not to be %s",
                          tensor, bytes ? "compared" : "verified");
    if (v->done[*index])
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" was examined already", tensor);
    return 0;
}

static int add_report(struct trit_verification *v, const char *tensor,
                      const struct trit_report *report, struct failure *failure)
{
    size_t index;

    if (find_step(v, tensor, false, &index, failure) < 0)
        return -1;
    if (report->finding_count > TRIT_FINDINGS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "has %u findings, at most %d are possible",
                          report->finding_count, TRIT_FINDINGS_MAX);
    if (v->checks[index] == CHECK_PROJECTION && !report->has_reference)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "report",
                          "of \"%s\" compares with no reference; verify it with its "
                          "latents",
                          tensor);
    findings_add_report(&v->findings, tensor, report, v->allow_dead);
    v->done[index] = true;
    v->reports++;
    v->examined += content_parameters(&v->claim, index);
    return 0;
}

enum trit_status trit_verification_add_report(struct trit_verification *verification,
                                              const char *tensor,
                                              const struct trit_report *report,
                                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report full;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !tensor)
        fail_null(&failure, !verification ? "verification" : "tensor");
    else if (sized_read(&sized_report, "report", report, &full, &failure) == 0)
        add_report(verification, tensor, &full, &failure);
    return client_answer(&failure, error);
}

static int compare(struct trit_verification *v, const char *tensor, const void *latents,
                   const void *claim, uint64_t bytes, struct failure *failure)
{
    size_t index;

    if (find_step(v, tensor, true, &index, failure) < 0)
        return -1;
    const struct tensor_entry *entry = &v->table->entries[index];
    const uint32_t width = entry->type->bits < 8 ? 1 : entry->type->bits / 8;

    if (v->compared != CONTENT_NONE && v->compared != index)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                          "\"%s\" comes before \"%s\" is complete", tensor,
                          v->table->entries[v->compared].name);
    if (v->compared == CONTENT_NONE) {
        v->compared = index;
        v->fed = 0;
        difference_init(&v->difference, entry->type);
    }
    if (bytes % width || bytes > entry->bytes - v->fed)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "bytes",
                          "%" PRIu64 " after %" PRIu64 " of %s, which has %" PRIu64,
                          bytes, v->fed, tensor, entry->bytes);
    difference_feed(&v->difference, latents, claim, bytes);
    v->fed += bytes;
    if (v->fed < entry->bytes)
        return 0;
    findings_add_difference(&v->findings, &v->claim, index, &v->difference);
    v->done[index] = true;
    v->compared = CONTENT_NONE;
    return 0;
}

enum trit_status trit_verification_compare(struct trit_verification *verification,
                                           const char *tensor, const void *latents,
                                           const void *claim, uint64_t bytes,
                                           struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !tensor || ((!latents || !claim) && bytes))
        fail_null(&failure, !verification ? "verification"
                            : !tensor     ? "tensor"
                            : !latents    ? "latents"
                                          : "claim");
    else if (bytes)
        compare(verification, tensor, latents, claim, bytes, &failure);
    return client_answer(&failure, error);
}

/* ---- the result ----------------------------------------------------------------- */

static int conclude(struct trit_verification *v, struct failure *failure)
{
    for (size_t i = 0; i < v->table->count; i++)
        if (v->checks[i] != CHECK_NOTHING && !v->done[i])
            return fail_field(failure, TRIT_FAILED_PRECONDITION, "tensor",
                              "\"%s\" has not been examined", v->table->entries[i].name);
    if (!v->concluded && v->reports == 0)
        findings_add_nothing(&v->findings);
    v->concluded = true;
    return 0;
}

static json_t *result_json(const struct trit_verification *v)
{
    uint64_t all = 0;
    json_t *object = json_object();

    for (size_t i = 0; i < v->table->count; i++)
        all += content_parameters(&v->claim, i);
    if (json_put(object, "verdict",
                 json_string(verdict_name(findings_verdict(&v->findings)))) &&
        json_put(object, "findings", findings_json(&v->findings)) &&
        json_put(object, "examined", json_count(v->examined)) &&
        json_put(object, "kept", json_count(all - v->examined)) &&
        json_put(object, "share_examined",
                 json_real(all ? (double)v->examined / (double)all : 0.0)))
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_verification_result(struct trit_verification *verification,
                                          enum trit_verdict *verdict, char **json,
                                          struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification)
        fail_null(&failure, "verification");
    else if (conclude(verification, &failure) == 0 &&
             (!json || json_give(result_json(verification), json, &failure) == 0) &&
             verdict)
        *verdict = findings_verdict(&verification->findings);
    return client_answer(&failure, error);
}
