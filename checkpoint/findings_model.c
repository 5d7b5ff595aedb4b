/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/findings_model.h"

#include "checkpoint/block_layers.h"
#include "checkpoint/blocks.h"
#include "checkpoint/head.h"
#include "checkpoint/needed.h"
#include "checkpoint/needed_shapes.h"

const struct model_config *config_of_model(const struct model_config *config,
                                           bool has_config, bool is_folder)
{
    return has_config && is_folder ? config : NULL;
}

void findings_add_model(struct file_findings *findings,
                        const struct checkpoint_options *options,
                        const struct model_config *config, const struct contents *claim,
                        const struct contents *latents)
{
    const bool lacks = findings_tell_lack(findings);

    if (config)
        findings_add_head(findings, options, config, claim, latents);
    if (latents)
        return;
    findings_add_blocks(findings, config, claim->table);
    findings_add_block_layers(findings, options, config, claim);
    findings_add_shapes(findings, config, claim);
    if (!lacks)
        findings_add_needed(findings, options, config, claim);
}
