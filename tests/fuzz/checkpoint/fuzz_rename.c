/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of text: a rename, a prefix, then names. Names are found under what they are
 * compared as, and a rename matches as the shell's pattern of the same text would. */
#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/rename.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rename's OLD, when its only special characters are stars. */
static bool plain_pattern(const char *rule, char pattern[256])
{
    const size_t bytes = (size_t)(strchr(rule, '=') - rule);

    if (bytes >= 256 || strcspn(rule, "?[\\") < bytes)
        return false;
    memcpy(pattern, rule, bytes);
    pattern[bytes] = '\0';
    return true;
}

static void check_names(const struct checkpoint_options *options,
                        const struct tensor_table *table)
{
    struct compared_names names;

    if (compared_names_init(&names, options, options->renames.count > 0, table, NULL) ==
        0)
        for (size_t i = 0; i < table->count; i++) {
            assert(names.names[i][0] && strlen(names.names[i]) <= FILES_NAME_BYTES_MAX);
            assert(compared_names_find(&names, names.names[i]) == i);
        }
    compared_names_fini(&names);
    rename_unused(options, table, NULL);
}

static void check_table(const char *rule, const char *prefix,
                        const struct tensor_table *table)
{
    const bool valid = rename_is_valid(rule);
    const struct checkpoint_options options = {
        .renames = {&rule, valid},
        .strip_prefixes = {&prefix, prefix[0] != '\0'},
    };
    char pattern[256];

    /* fnmatch reads names as the locale's text; in "C" every byte is one. */
    for (size_t i = 0; valid && i < table->count; i++) {
        const bool matches = rename_matches(rule, table->entries[i].name);

        if (strlen(table->entries[i].name) < 64 && plain_pattern(rule, pattern) &&
            strlen(pattern) < 24)
            assert(matches == (fnmatch(pattern, table->entries[i].name, 0) == 0));
    }
    check_names(&options, table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *rest = text;
    const char *rule, *prefix, *name;
    struct tensor_table table;

    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    rule = strsep(&rest, "\n");
    prefix = rest ? strsep(&rest, "\n") : "";
    table_init(&table);
    while (rest && (name = strsep(&rest, "\n"))) {
        const struct tensor_entry entry = {
            .name = name, .type = element_type_of(TRIT_F32), .offset = table.count};

        if (*name && utf8_is_name(name))
            table_add(&table, &entry, NULL);
    }
    if (table_seal(&table, NULL) == 0)
        check_table(rule, prefix, &table);
    table_fini(&table);
    free(text);
    return 0;
}
