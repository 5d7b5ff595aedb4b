/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the calls about checkpoints. */
#include <string.h>

#include "checkpoint/rename.h"
#include "client/lib/checkpoint.h"
#include "files/writer.h"

static int check_list(const char *field, const char *const *list, size_t count,
                      struct failure *failure)
{
    if (count && !list)
        return fail_null(failure, field);
    for (size_t i = 0; i < count; i++)
        if (!list[i])
            return fail_null(failure, field);
    return 0;
}

static int check_lists(const struct trit_checkpoint_options *o, struct failure *failure)
{
    if (check_list("options.include", o->include, o->include_count, failure) < 0 ||
        check_list("options.exclude", o->exclude, o->exclude_count, failure) < 0 ||
        check_list("options.transposed", o->transposed, o->transposed_count, failure) <
            0 ||
        check_list("options.rename", o->rename, o->rename_count, failure) < 0 ||
        check_list("options.strip_prefix", o->strip_prefix, o->strip_prefix_count,
                   failure) < 0)
        return -1;
    for (size_t i = 0; i < o->rename_count; i++)
        if (!rename_is_valid(o->rename[i]))
            return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.rename",
                              "\"%s\" is not OLD=NEW with no more '*' in NEW than in OLD",
                              o->rename[i]);
    return 0;
}

static int check_values(const struct trit_checkpoint_options *o, struct failure *failure)
{
    if (o->has_encoding && o->encoding > TRIT_ENCODING_HF_BITNET)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "%u is unknown", (unsigned)o->encoding);
    if (o->has_partial_group && o->partial_group > TRIT_PARTIAL_EXACT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.partial_group",
                          "%u is unknown", (unsigned)o->partial_group);
    if (o->experts > TRIT_EXPERTS_IN_OUT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.experts",
                          "%u is unknown", (unsigned)o->experts);
    if (o->bits && (o->bits < 2 || o->bits == 7 || o->bits > 8))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.bits",
                          "%u is not 2, 3, 4, 5, 6 or 8", (unsigned)o->bits);
    if (o->mode > TRIT_VERIFY_LATENT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.mode", "%u is unknown",
                          (unsigned)o->mode);
    if (o->mode == TRIT_VERIFY_LATENT && o->has_encoding &&
        o->encoding != TRIT_ENCODING_DENSE)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "latents are dense, not %s", trit_encoding_name(o->encoding));
    return 0;
}

static int take_config(struct options_given *options,
                       const struct trit_checkpoint *checkpoint, struct failure *failure)
{
    const char *text = options->all.config;
    struct failure why = {.status = TRIT_OK};

    options->config = (struct model_config){.bits = 0};
    if (checkpoint->reader) {
        options->rules.read_small = reader_read_small;
        options->rules.read_arg = (void *)(uintptr_t)checkpoint->reader;
    }
    if (!text)
        options->rules.config = checkpoint->has_config ? &checkpoint->config : NULL;
    else if (model_config_read(&options->config, text, strlen(text), &why) == 0)
        options->rules.config = &options->config;
    else
        return fail_field(failure, why.status, "options.config", "%s", why.message);
    return 0;
}

int options_take(const struct trit_checkpoint_options *given,
                 const struct trit_checkpoint *checkpoint, struct options_given *options,
                 struct failure *failure)
{
    struct trit_checkpoint_options *o = &options->all;

    if (sized_take_optional(&sized_checkpoint_options, "options", given, o, failure) < 0)
        return -1;
    if (check_lists(o, failure) < 0 || check_values(o, failure) < 0)
        return -1;
    options->rules = (struct checkpoint_options){
        .include = {o->include, o->include_count},
        .exclude = {o->exclude, o->exclude_count},
        .convolutions = o->convolutions,
        /* Without trit_plan_run the caller copies the tensors that stay. */
        .keep_names = o->keep_names || !o->output,
        .to_gguf = o->output && strcmp(writer_format(o->output), "gguf") == 0,
        .experts = (enum experts_layout)o->experts,
        .bits = o->bits,
        .transposed = {o->transposed, o->transposed_count},
        .renames = {o->rename, o->rename_count},
        .strip_prefixes = {o->strip_prefix, o->strip_prefix_count},
        .has_encoding = o->has_encoding,
        .encoding = o->encoding,
        .group_size = o->group_size,
        .has_partial_group = o->has_partial_group,
        .partial_group = o->partial_group};
    return take_config(options, checkpoint, failure);
}

void options_drop(struct options_given *options)
{
    model_config_fini(&options->config);
}

static bool is_in(const struct name_patterns *patterns, const char *pattern)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (patterns->patterns[i] == pattern)
            return true;
    return false;
}

static int check_names(const struct checkpoint_options *rules,
                       const struct tensor_table *first,
                       const struct tensor_table *second, struct failure *failure)
{
    const char *field = rules->renames.count ? "rename" : "strip_prefix";

    if (rules->renames.count + rules->strip_prefixes.count == 0)
        return 0;
    if (!second)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "needs latents, whose names are compared");
    const char *unused = rename_unused(rules, first, second);
    if (!unused)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT,
                      is_in(&rules->renames, unused) ? "rename" : "strip_prefix",
                      "\"%s\" matches no tensor", unused);
}

int options_check_patterns(const struct checkpoint_options *rules,
                           const struct tensor_table *first,
                           const struct tensor_table *second, struct failure *failure)
{
    const struct tensor_table *const tables[] = {first, second};
    const char *unused = selection_unused(rules, tables, 2);

    if (!unused)
        return check_names(rules, first, second, failure);
    return fail_field(failure, TRIT_INVALID_ARGUMENT,
                      is_in(&rules->include, unused)      ? "include"
                      : is_in(&rules->transposed, unused) ? "transposed"
                                                          : "exclude",
                      "the pattern \"%s\" matches no tensor", unused);
}
