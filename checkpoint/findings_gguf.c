/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/findings_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_names.h"

/* One key behind "llama.", and its value in config.json. */
struct parameter {
    const char *key;
    double told; /* 0: config.json says nothing */
    bool structural;
};

enum { PARAMETERS_MAX = 16, KEY_BYTES = 64 };

static size_t parameters_of(const struct gguf_model *model,
                            struct parameter parameters[PARAMETERS_MAX])
{
    const struct parameter all[] = {
        {"block_count", model->blocks, true},
        {"embedding_length", model->embedding, true},
        {"feed_forward_length", model->feed_forward, true},
        {"attention.head_count", model->heads, true},
        {"attention.head_count_kv", model->key_heads, true},
        {"attention.key_length", model->head_rows, true},
        {"attention.value_length", model->head_rows, true},
        {"expert_count", model->experts, true},
        {"expert_used_count", model->experts_used, false},
        {"attention.layer_norm_rms_epsilon", (double)model->norm_epsilon, false},
        {"attention.layer_norm_epsilon", (double)model->norm_epsilon, false},
        {"rope.freq_base", (double)model->rope_base, false},
    };

    memcpy(parameters, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

/* The number under the key; false: there is none. */
static bool number_under(const struct tensor_table *table, const char *key,
                         double *number)
{
    const char *text = table_pair(table, key);
    char *end;

    if (!text)
        return false;
    *number = strtod(text, &end);
    return end != text && *end == '\0';
}

static void add(struct file_findings *findings, const char *key, double told, double got,
                bool structural)
{
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_CONFIG_DISAGREES, NULL, NULL);

    if (!added)
        return;
    if (!structural)
        added->severity = TRIT_SEVERITY_WARNING;
    snprintf(added->expected, sizeof(added->expected), "%.9g", told);
    snprintf(added->got, sizeof(added->got), "%.9g", got);
    snprintf(
        added->hint, sizeof(added->hint),
        "%.63s differs from the latents' model, and readers compute with it; convert "
        "the model again",
        key);
}

/* What the latents' model has; architecture NULL: nothing is known of it. */
static void read_model(struct gguf_model *model, const struct model_config *config)
{
    struct failure why = {.status = TRIT_OK};

    if (gguf_model_read(model, config->text, config->bytes, &why) < 0)
        *model = (struct gguf_model){.architecture = NULL};
}

void findings_add_gguf(struct file_findings *findings, const struct tensor_table *claim,
                       const struct tensor_table *latents,
                       const struct model_config *config)
{
    const char *architecture = table_pair(claim, "general.architecture");
    struct gguf_model model = {.architecture = NULL};
    struct parameter parameters[PARAMETERS_MAX];
    const bool both = table_is_gguf(latents);

    if (!table_is_gguf(claim) || !architecture)
        return;
    if (both)
        model.architecture = table_pair(latents, "general.architecture");
    else if (config && config->text)
        read_model(&model, config);
    if (!model.architecture || strcmp(model.architecture, architecture) != 0)
        return;
    const size_t count = parameters_of(&model, parameters);
    for (size_t i = 0; i < count; i++) {
        const struct parameter *one = &parameters[i];
        double told = one->told, got;
        char key[KEY_BYTES];

        if (snprintf(key, sizeof(key), "%s.%s", architecture, one->key) >= KEY_BYTES ||
            !number_under(claim, key, &got) ||
            (both ? !number_under(latents, key, &told) : told == 0))
            continue;
        if (told != got && (float)told != (float)got)
            add(findings, key, told, got, one->structural);
    }
}
