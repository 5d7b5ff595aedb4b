/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/file.h"
#include "client/cli/wording.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/notes.h"
#include "files/folder.h"
#include "proto/utf8.h"

static enum exit_code open_any(struct input *input, const char *path,
                               const struct options *options, bool may_be_cut)
{
    struct read_options read = {.void2_is_bf16 = option_given(options, OPTION_NPY_BF16),
                                .may_be_cut = may_be_cut};
    struct failure failure = {.status = TRIT_OK};

    if (input_read(input, path, &read, &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    return DONE;
}

enum exit_code input_open(struct input *input, const char *path,
                          const struct options *options)
{
    return open_any(input, path, options, false);
}

enum exit_code input_open_damaged(struct input *input, const char *path,
                                  const struct options *options)
{
    return open_any(input, path, options, true);
}

struct checkpoint_options input_options(const struct input *input,
                                        const struct options *options)
{
    struct checkpoint_options rules = options_checkpoint(options);

    rules.config = input->has_config ? &input->config : NULL;
    rules.read_small = reader_read_small;
    rules.read_arg = input->reader;
    return rules;
}

enum exit_code input_check(const struct input *input, const char *path)
{
    size_t count;
    const struct reader_note *notes = reader_notes(input->reader, &count);
    enum exit_code code = DONE;
    struct file_findings findings;
    char text[FINDING_TEXT_BYTES];

    findings_init(&findings);
    findings_add_notes(&findings, notes, count);
    for (size_t i = 0; i < findings.count; i++) {
        complain(DONE, "%s: %s", path, finding_words(text, &findings.list[i]));
        if (findings.list[i].finding.severity == TRIT_SEVERITY_ERROR)
            code = MISMATCH;
    }
    if (findings.lost)
        code = complain(FAILED, "out of memory");
    findings_fini(&findings);
    return code;
}

enum exit_code side_open(struct side *side, const char *command, const char *path,
                         const struct options *options)
{
    const struct checkpoint_options rules = options_checkpoint(options);
    struct failure failure = {.status = TRIT_OK};
    struct layer_terms terms;
    enum exit_code code;

    *side = (struct side){.record = {.layers = NULL}};
    code = input_open(&side->input, path, options);
    if (code == DONE)
        code = input_check(&side->input, path);
    if (code != DONE)
        return code;
    if (side_read_terms(side, &rules, &terms, &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    if (terms_check(&terms, &failure) < 0)
        return complain(USAGE, "%s: %s", command, failure.message);
    if (side_read_contents(side, &terms, &failure) < 0)
        return complain(FAILED, "%s: %s", path, failure.message);
    return DONE;
}

enum exit_code file_check_options(const char *command, const struct options *options,
                                  const struct layer_terms *terms,
                                  const struct reader *first, const struct reader *second)
{
    const struct checkpoint_options rules = options_checkpoint(options);
    struct failure failure = {.status = TRIT_OK};

    if (input_check_options(options->arguments[0], &rules, terms, first, second,
                            &failure) < 0)
        return complain(USAGE, "%s: %s", command, failure.message);
    return DONE;
}

enum exit_code file_check_names(const char *command, const struct options *options,
                                const struct contents *contents)
{
    enum exit_code code = DONE;
    char name[MATRIX_NAME_BYTES];

    for (size_t i = 0; i < contents->table->count && options->run; i++) {
        if (contents->items[i].kind != CONTENT_LAYER)
            continue;
        const struct matrices matrices = content_matrices(&contents->items[i]);
        matrix_name(name, contents->table->entries[i].name, &matrices,
                    matrices.count ? matrices.count - 1 : 0);
        const size_t bytes = strlen(name);
        if (bytes == 0)
            code =
                complain(FAILED,
                         "%s: a layer's name is empty; with --run it must not be empty "
                         "(--exclude '' leaves it out)",
                         command);
        else if (bytes > TRIT_NAME_BYTES_MAX)
            code = complain(FAILED,
                            "%s: %s: the name's %zu bytes are more than %d, which --run "
                            "stores reports under; --exclude leaves the layer out",
                            command, name, bytes, TRIT_NAME_BYTES_MAX);
    }
    return code;
}

void file_print_others(const struct contents *contents)
{
    char text[CONTENT_TEXT_BYTES], shape[SHAPE_TEXT_BYTES];
    char name[4 * FILES_NAME_BYTES_MAX + 1], what[2 * CONTENT_TEXT_BYTES];

    for (size_t i = 0; i < contents->table->count; i++) {
        const struct tensor_entry *entry = &contents->table->entries[i];

        if (!content_is_listed(contents, i))
            continue;
        utf8_show_text(name, sizeof(name), entry->name);
        utf8_show_text(what, sizeof(what), content_text(text, contents, i));
        printf("%s %s %s: %s\n", name, entry->type->name, entry_shape_text(shape, entry),
               what);
    }
}

/* Layers that another program packed, by packing. */
static void print_decoded(const struct contents *contents, uint64_t parameters)
{
    enum { PACKINGS = PACKING_OTHER + 1 };
    struct {
        size_t count, first;
        uint64_t parameters;
    } sums[PACKINGS] = {{0}};
    char text[CONTENT_TEXT_BYTES];

    for (size_t i = 0; i < contents->table->count; i++) {
        const struct content *item = &contents->items[i];

        if (item->kind != CONTENT_LAYER || !content_is_foreign(item))
            continue;
        if (sums[item->packing].count++ == 0)
            sums[item->packing].first = i;
        sums[item->packing].parameters += content_parameters(contents, i);
    }
    for (size_t i = 0; i < PACKINGS; i++)
        if (sums[i].count)
            printf("  decoded: %zu, %" PRIu64 " parameters (%.1f %%): %s (%s)\n",
                   sums[i].count, sums[i].parameters,
                   parameters ? 100.0 * (double)sums[i].parameters / (double)parameters
                              : 0.0,
                   content_text(text, contents, sums[i].first),
                   contents->table->entries[sums[i].first].type->name);
}

void file_print_kept(const struct contents *contents, uint64_t parameters)
{
    enum { KINDS = CONTENT_UNFIT + 1, ROLES = ROLE_OTHER + 1 };
    struct {
        size_t count, first;
        uint64_t parameters;
    } sums[KINDS][ROLES] = {{{0}}};
    char text[CONTENT_TEXT_BYTES];

    print_decoded(contents, parameters);
    for (size_t i = 0; i < contents->table->count; i++) {
        const struct content *item = &contents->items[i];

        if (!content_is_listed(contents, i) || item->kind == CONTENT_FOREIGN_TABLE)
            continue;
        if (sums[item->kind][item->role].count++ == 0)
            sums[item->kind][item->role].first = i;
        sums[item->kind][item->role].parameters += content_parameters(contents, i);
    }
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t role = 0; role < ROLES; role++)
            if (sums[kind][role].count)
                printf("  kept: %zu, %" PRIu64 " parameters (%.1f %%): %s\n",
                       sums[kind][role].count, sums[kind][role].parameters,
                       parameters ? 100.0 * (double)sums[kind][role].parameters /
                                        (double)parameters
                                  : 0.0,
                       content_text(text, contents, sums[kind][role].first));
}
