/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/wording.h"

#include <stdio.h>
#include <string.h>

struct word {
    const char *of_daemon, *of_option;
};

/* The field that a message begins with. */
static const struct word fields[] = {
    {"tensor.data: ", ""},
    {"chunk.data: ", ""},
    {"reference.data: ", ""},
    {"packed.data: ", ""},
    {"data: ", ""},
    {"options.group_size: ", "--group-size: "},
    {"options.partial_group: ", "--partial: "},
    {"options.tolerance: ", "--tolerance: "},
    {"options.encoding: ", "--encoding: "},
    {"options.source_encoding: ", "--from-encoding: "},
    {"options.mode: ", "--mode: "},
    {"options.durability: ", "--durability: "},
    {"layer.run: ", "--run: "},
    {"layer.step: ", "--step: "},
    {"layer.attempt: ", "--attempt: "},
    {"layer.replica: ", "--replica: "},
    {"spec.in_features: ", "--in-features: "},
    {"spec.out_features: ", "--out-features: "},
    {"spec.group_size: ", "--group-size: "},
    {"spec.keep_latents: ", "--keep-latents: "},
    {"token_file: ", "--token-file: "},
    {"tls_ca: ", "--tls-ca: "},
    {"tls_cert: ", "--tls-cert: "},
    {"tls_key: ", "--tls-key: "},
    {"tls_server_name: ", "--tls-server-name: "},
    {"tls_cert is set without tls_key", "--tls-cert is set without --tls-key"},
    {"tls_key is set without tls_cert", "--tls-key is set without --tls-cert"},
};

/* Elsewhere in it. */
static const struct word phrases[] = {
    {"set options.allow_rounded_scales", "use --round-scales"},
    {"set allow_lost_scales", "use --allow-lost"},
    {"check options.group_size", "check --group-size"},
    {"use group_size ", "use --group-size "},
    {"check group_size, partial_group", "check --group-size, --partial"},
    {"check group_size", "check --group-size"},
    {"use another step, or attempt ", "use another --step, or --attempt "},
    {"(see Reports.Rewind)", "(see trit reports rewind)"},
    {"with Reports.Delete", "with trit reports delete"},
    {": it exists already", ": it exists already; --force replaces it"},
};

static const struct word *word_at(const struct word *words, size_t count,
                                  const char *message)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(message, words[i].of_daemon, strlen(words[i].of_daemon)) == 0)
            return &words[i];
    return NULL;
}

void option_words(char *to, size_t size, const char *message)
{
    const struct word *word =
        word_at(fields, sizeof(fields) / sizeof(fields[0]), message);
    size_t at = 0;

    while (at < size && *message) {
        if (!word) {
            to[at++] = *message++;
        } else {
            message += strlen(word->of_daemon);
            at += (size_t)snprintf(to + at, size - at, "%s", word->of_option);
        }
        word = word_at(phrases, sizeof(phrases) / sizeof(phrases[0]), message);
    }
    if (size > 0)
        to[at < size ? at : size - 1] = '\0';
}

const char *finding_words(char words[FINDING_TEXT_BYTES],
                          const struct file_finding *finding)
{
    char text[FINDING_TEXT_BYTES];

    option_words(words, FINDING_TEXT_BYTES, finding_text(text, finding));
    return words;
}

int call_ended(enum trit_status status, const struct trit_error *error,
               struct failure *failure)
{
    char words[sizeof(failure->message)];

    if (status == TRIT_OK)
        return 0;
    if (failure->status != TRIT_OK)
        return -1;
    option_words(words, sizeof(words), error->message);
    return fail(failure, status, error->field, "%s: %s", trit_status_name(status), words);
}
