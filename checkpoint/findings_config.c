/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/findings_config.h"

#include <stdio.h>
#include <string.h>

/* How weights are packed; `why`: what else config.json says of them, or NULL. */
struct terms {
    unsigned bits, group_size; /* 0: a scale for each row */
    const char *why;
};

static void terms_text(char text[TRIT_FINDING_VALUE_BYTES_MAX + 1],
                       const struct terms *terms)
{
    if (terms->why)
        snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%s", terms->why);
    else if (terms->group_size)
        snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%u bits in groups of %u",
                 terms->bits, terms->group_size);
    else
        snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "%u bits, a scale for each row",
                 terms->bits);
}

static void add(struct file_findings *findings, const char *name,
                const struct terms *told, const struct terms *got, const char *hint)
{
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_CONFIG_DISAGREES, name, NULL);

    if (!added)
        return;
    terms_text(added->expected, told);
    terms_text(added->got, got);
    finding_set_hint(added, hint);
}

/* ---- MLX --------------------------------------------------------------------------- */

/* How a layer that MLX reads is packed, as it was read; no bits: it is none. */
static struct terms mlx_terms_of(const struct content *item)
{
    if (content_is_foreign(item))
        return item->foreign.packing == PACKING_MLX
                   ? (struct terms){item->foreign.bits,
                                    (unsigned)item->foreign.block_columns, NULL}
                   : (struct terms){.bits = 0};
    return item->terms.encoding == TRIT_ENCODING_MLX_2BIT
               ? (struct terms){2, item->terms.group_size, NULL}
               : (struct terms){.bits = 0};
}

static void check_mlx(struct file_findings *findings, const struct model_config *config,
                      const char *name, const struct terms *got)
{
    const struct mlx_terms told = config_mlx_terms(config, name);
    const struct terms expected = {told.bits ? told.bits : got->bits,
                                   told.group_size ? told.group_size : got->group_size,
                                   told.other ? "not packed, or not in mode affine"
                                              : NULL};

    if (!told.other && expected.bits == got->bits &&
        expected.group_size == got->group_size)
        return;
    add(findings, name, &expected, got,
        "config.json says what is expected, but the shapes of weight and scales do not fit "
        "it; MLX does not load such a layer");
}

/* ---- compressed-tensors -------------------------------------------------------------- */

static bool group_fits(const struct compressed_group *group,
                       const struct foreign_form *form)
{
    const bool by_row = form->scale_columns == 1;

    if (group->other || (group->bits && group->bits != form->bits))
        return false;
    if (group->by_row || !group->group_size)
        return by_row || !group->by_row;
    return group->group_size == form->block_columns ||
           (by_row && group->group_size > form->block_columns);
}

/* Names and patterns say which group a module belongs to; it is enough that one fits. */
static void check_compressed(struct file_findings *findings,
                             const struct model_config *config, const char *name,
                             const struct foreign_form *form)
{
    for (size_t i = 0; i < config->group_count; i++)
        if (group_fits(&config->groups[i], form))
            return;
    if (config->group_count == 0)
        return;
    const struct compressed_group *group = &config->groups[0];
    const struct terms got = {
        form->bits, form->scale_columns == 1 ? 0 : (unsigned)form->block_columns, NULL};
    const struct terms told = {group->bits ? group->bits : got.bits,
                               group->by_row       ? 0
                               : group->group_size ? group->group_size
                                                   : got.group_size,
                               group->other ? "asymmetric, float or reordered weights"
                                            : NULL};
    add(findings, name, &told, &got,
        "config.json's config_groups say what is expected, but weight_shape, weight_scale "
        "and weight do not fit it; correct config.json or pack the model again");
}

/* ---- layers that are not to be packed ------------------------------------------------ */

static void check_unpacked(struct file_findings *findings, const char *name,
                           const char *packing)
{
    const struct terms told = {.why = "not packed"}, got = {.why = packing};

    add(findings, name, &told, &got,
        "quantization_config of config.json lists it among the modules that are not packed, so "
        "that it does not load; correct the list");
}

void findings_add_config(struct file_findings *findings,
                         const struct model_config *config, const char *name,
                         const struct content *item)
{
    const struct terms mlx = mlx_terms_of(item);

    if (!config)
        return;
    if (item->unpacked && item->terms.encoding == TRIT_ENCODING_HF_BITNET &&
        strcmp(config->quant_method, "bitnet") == 0)
        check_unpacked(findings, name, "packed as hf_bitnet");
    else if (item->unpacked && item->foreign.packing == PACKING_COMPRESSED_TENSORS)
        check_unpacked(findings, name, "packed by compressed-tensors");
    else if (mlx.bits)
        check_mlx(findings, config, name, &mlx);
    else if (content_is_foreign(item) &&
             item->foreign.packing == PACKING_COMPRESSED_TENSORS)
        check_compressed(findings, config, name, &item->foreign);
}
