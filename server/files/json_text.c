/* SPDX-License-Identifier: Apache-2.0 */
#include "files/json_text.h"

#include <jansson.h>
#include <stdlib.h>

char *json_text(const json_t *json, size_t flags, size_t *bytes)
{
    size_t wanted = json_dumpb(json, NULL, 0, flags);
    char *text = wanted ? malloc(wanted + 1) : NULL;

    if (!text || json_dumpb(json, text, wanted, flags) != wanted) {
        free(text);
        return NULL;
    }
    text[wanted] = '\n';
    *bytes = wanted;
    return text;
}
