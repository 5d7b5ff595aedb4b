/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/not_ternary.h"

#include <stdio.h>

#include "checkpoint/config.h"
#include "checkpoint/name_parts.h"

/* Copies of the weights that are averages over training steps. */
static const char *const averages[] = {
    "ema", "ema_*", "*_ema", "swa", "swa_*", "*_swa", "shadow_params", NULL,
};
/* Parameters from which PyTorch's parametrizations, prune and others compute the weight. */
static const char *const latents[] = {
    "original", "weight_orig", "latent_weight*", "weight_latent", "master_weight*", NULL,
};

static const char *hint_of_name(const char *text)
{
    struct name name;

    name_split(&name, text);
    if (name_has_part(&name, averages))
        return "by its name an average of the weights over training steps; --exclude leaves it "
               "out if the model does not use it";
    if (part_matches(name.leaf, latents))
        return "by its name the latents from which the weights are computed as the model runs; "
               "trit project makes them ternary, --mode latent checks that";
    return NULL;
}

/* Of a layer that the rules make one; a record says that it is ternary. */
static const char *hint_of_role(const struct contents *claim, const struct content *item)
{
    if (claim->record && claim->record->layers)
        return NULL;
    if (claim->online)
        return "config.json says quantization_mode online: these are latents, which are made "
               "ternary as the model runs; trit project does it, --mode latent checks it";
    if (item->unpacked && !content_is_foreign(item))
        return "config.json's quantization_config says that this layer is not packed; --exclude "
               "leaves it out";
    if (item->role == ROLE_EMBEDDING)
        return "an embedding: many ternary models keep it dense, and --exclude leaves it out; "
               "if it should be ternary, check --group-size";
    if (item->role == ROLE_HEAD)
        return "the head: many ternary models keep it dense, and --exclude leaves it out; if "
               "it should be ternary, check --group-size";
    return hint_of_name(item->dense.name);
}

void findings_hint_not_ternary(struct file_findings *findings, bool has_config,
                               const struct contents *claim, size_t index,
                               const char *layer)
{
    const struct content *item = &claim->items[index];
    struct tensor_entry dense = item->dense;
    char text[TRIT_FINDING_HINT_BYTES_MAX + 1];

    dense.name = layer;
    const bool may_turn = item->layout == LAYOUT_OUT_IN && !content_is_foreign(item);
    const char *turning = may_turn ? config_may_turn(has_config, &dense) : NULL;
    const char *hint = hint_of_role(claim, item);

    if (turning) {
        snprintf(text, sizeof(text),
                 "judged as [out, in]; %s stores layers of this name as [in, out]: "
                 "use --transposed if this file does; else check --group-size",
                 turning);
        hint = text;
    }
    if (hint)
        findings_hint(findings, TRIT_FINDING_NOT_TERNARY, layer, hint);
}
