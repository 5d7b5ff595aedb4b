/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/family.h"

#include <string.h>

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);

    return length > tail && strcmp(name + length - tail, suffix) == 0;
}

/* OpenMetrics names the unit that a family's name ends with. */
static void put_unit(const struct exposition *to, const char *name, size_t length)
{
    static const char *const units[] = {"seconds", "bytes"};

    for (size_t i = 0; to->openmetrics && i < sizeof(units) / sizeof(units[0]); i++) {
        size_t tail = strlen(units[i]);

        if (length > tail && name[length - tail - 1] == '_' &&
            memcmp(name + length - tail, units[i], tail) == 0)
            fprintf(to->out, "# UNIT %.*s %s\n", (int)length, name, units[i]);
    }
}

void put_family(const struct exposition *to, const char *name, const char *type,
                const char *help)
{
    size_t length = strlen(name);

    if (to->openmetrics && strcmp(type, "counter") == 0 && ends_in(name, "_total"))
        length -= strlen("_total");
    if (to->openmetrics && strcmp(type, "info") == 0 && ends_in(name, "_info"))
        length -= strlen("_info");
    fprintf(to->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)length, name, help,
            (int)length, name, type);
    put_unit(to, name, length);
}

void put_escaped(const struct exposition *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", to->out);
        else if (*text == '"' || *text == '\\')
            fprintf(to->out, "\\%c", *text);
        else
            fputc(*text, to->out);
    }
}
