/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/project.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/plan_json.h"
#include "checkpoint/ternary.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/json_value.h"

enum { PROBE_BYTES = 1 << 16 };

void project_init(struct projecting *p)
{
    *p = (struct projecting){.engine = NULL};
    findings_init(&p->findings);
    pthread_mutex_init(&p->whole, NULL);
}

void project_fini(struct projecting *p)
{
    writer_destroy(p->writer);
    findings_fini(&p->findings);
    plan_destroy(&p->plan);
    input_close(&p->input);
    pthread_mutex_destroy(&p->whole);
}

/* ---- layers that are ternary already ------------------------------------------------ */

static int feed(struct projecting *p, const struct tensor_entry *entry,
                struct ternary_probe *probe, uint8_t *buffer)
{
    for (uint64_t at = 0; at < entry->bytes; at += PROBE_BYTES) {
        uint64_t left = entry->bytes - at;
        uint64_t piece = u64_min(left, PROBE_BYTES);

        if (reader_read(p->input.reader, entry, at, buffer, piece, &p->failure) < 0)
            return -1;
        if (!ternary_probe_feed(probe, buffer, piece))
            return 0;
    }
    return ternary_probe_refuses(probe);
}

/* 1: it is ternary already, in groups of *group, and would change; 0: it is not or would
 * not; -1: it cannot be read. */
static int probe_layer(struct projecting *p, size_t index, uint8_t *buffer,
                       uint64_t *group)
{
    const struct content *content = &p->plan.contents.items[index];
    struct ternary_probe probe = {.rows = NULL};
    int found = ternary_probe_create(&probe, &content->terms, &content->dense,
                                     content->layout, &p->failure);

    if (found == 0)
        found = feed(p, &p->plan.contents.table->entries[index], &probe, buffer);
    *group = ternary_probe_group(&probe);
    ternary_probe_destroy(&probe);
    return found;
}

int project_probe(struct projecting *p, size_t *count)
{
    uint8_t *buffer = malloc(PROBE_BYTES);
    uint64_t group;
    int found =
        buffer ? 0 : fail(&p->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    *count = 0;
    for (size_t i = 0; i < p->plan.contents.table->count && found >= 0; i++) {
        if (p->plan.items[i].action != PLAN_TERNARIZE)
            continue;
        found = probe_layer(p, i, buffer, &group);
        if (found > 0) {
            plan_refuse_ternary(&p->plan, i, group);
            ++*count;
        }
    }
    free(buffer);
    return found < 0 ? -1 : 0;
}

/* ---- the result --------------------------------------------------------------------- */

enum trit_verdict project_verdict(const struct projecting *p)
{
    return findings_verdict(&p->findings) == TRIT_VERDICT_PASS && p->not_ternary == 0
               ? TRIT_VERDICT_PASS
               : TRIT_VERDICT_FAIL;
}

json_t *project_json(const struct projecting *p, const char *input, const char *output,
                     json_t *layers)
{
    const uint64_t all = p->plan.parameters_ternary + p->plan.parameters_kept;
    const size_t passed = reader_table(p->input.reader)->count - p->plan.layers;

    json_t *result = json_pack(
        "{s:o, s:o, s:s, s:s, s:o, s:i, s:b, s:o, s:o, s:f, s:o}", "input",
        json_path(input), "output", json_path(output), "encoding",
        encoding_name(p->terms.encoding), "verdict", verdict_name(project_verdict(p)),
        "findings", findings_json(&p->findings), "passed_through", (int)passed,
        "is_ternary", p->not_ternary == 0, "ternary",
        json_uint64(p->plan.parameters_ternary), "kept",
        json_uint64(p->plan.parameters_kept), "share_ternary",
        all ? (double)p->plan.parameters_ternary / (double)all : 0.0, "others",
        others_json(&p->plan.contents));

    if (plan_json_put_gguf(result, &p->plan) &&
        json_object_set(result, "layers", layers) == 0)
        return result;
    json_decref(result);
    return NULL;
}
