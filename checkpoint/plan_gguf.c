/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_gguf.h"

#include <string.h>

#include "files/gguf_keys.h"
#include "kernels/kernels.h"

int plan_store_in_gguf(struct plan *plan, struct failure *failure)
{
    const enum trit_encoding encoding = plan->terms.encoding;
    const struct element_type *type = encoding_type(encoding);

    if (encoding == TRIT_ENCODING_DENSE)
        return 0;
    if (!type)
        return fail(
            failure, TRIT_INVALID_ARGUMENT, "encoding",
            "GGUF has no type for %s; pq2_0, q2_0, ptq1_0, tq1_0, tq2_0, i2_s and "
            "dense can be stored",
            encoding_name(encoding));
    for (size_t i = 0; i < plan->contents.table->count; i++) {
        const struct plan_item *item = &plan->items[i];

        if (item->action == PLAN_TERNARIZE || item->action == PLAN_PACK)
            if (item->data != PLAN_NONE)
                plan->table.entries[item->data].type = type;
    }
    return 0;
}

void plan_check_for_gguf(struct plan *plan)
{
    for (size_t i = 0; i < plan->contents.table->count; i++) {
        const size_t data = plan->items[i].data;
        struct failure why = {.status = TRIT_OK};

        if (plan->items[i].action != PLAN_REFUSE && data != PLAN_NONE &&
            gguf_check_entry(&plan->table.entries[data], &why) < 0)
            plan_refuse(plan, i, why.message);
    }
}

bool gguf_key_is_carried(const char *key)
{
    static const char *const own[] = {"general.alignment", "general.file_type", "trit"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(own[i], key) == 0)
            return false;
    return strncmp(key, "split.", strlen("split.")) != 0;
}
