/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/blocks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"

enum { BLOCKS_MAX = 1 << 20, PREFIX_BYTES = 48 };

/* How many blocks a model has, and how the names of their tensors begin. */
struct blocks {
    uint64_t count;
    const char *stem, *said_by;
};

static uint64_t gguf_blocks(const struct tensor_table *table)
{
    const uint64_t count = gguf_model_number(table, "block_count");

    return count <= BLOCKS_MAX ? count : 0;
}

static struct blocks blocks_of(const struct model_config *config,
                               const struct tensor_table *table)
{
    if (table_is_gguf(table))
        return gguf_is_known(table) && table_find(table, "token_embd.weight")
                   ? (struct blocks){gguf_blocks(table), "blk.", "the key block_count"}
                   : (struct blocks){.count = 0};
    return config && table_find(table, "model.embed_tokens.weight")
               ? (struct blocks){config->blocks, "model.layers.",
                                 "config.json (num_hidden_layers)"}
               : (struct blocks){.count = 0};
}

void findings_add_blocks(struct file_findings *findings,
                         const struct model_config *config,
                         const struct tensor_table *claim)
{
    const struct blocks blocks = blocks_of(config, claim);
    char prefix[PREFIX_BYTES], first[PREFIX_BYTES] = "", hint[160];
    uint64_t missing = 0;

    if (findings_tell_lack(findings))
        return;
    for (uint64_t i = 0; i < blocks.count; i++) {
        snprintf(prefix, sizeof(prefix), "%s%" PRIu64 ".", blocks.stem, i);
        if (table_has_prefix(claim, prefix, strlen(prefix)))
            continue;
        if (missing++ == 0)
            snprintf(first, sizeof(first), "%s%" PRIu64, blocks.stem, i);
    }
    struct trit_finding *added =
        missing ? findings_add(findings, TRIT_FINDING_MISSING_TENSOR, NULL, first) : NULL;
    if (!added)
        return;
    added->has_count = true;
    added->count = missing;
    snprintf(hint, sizeof(hint),
             "%s says that the model has %" PRIu64
             " blocks, but the file has no tensor of this one",
             blocks.said_by, blocks.count);
    finding_set_hint(added, hint);
}
