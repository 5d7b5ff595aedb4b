/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/cli/escape.h"
#include "client/cli/wording.h"
#include "proto/utf8.h"
#include "json/json.h"

enum { COMPLAINT_BYTES = 8192 };

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    char raw[COMPLAINT_BYTES], escaped[COMPLAINT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    utf8_show_text(escaped, sizeof(escaped), raw);
    fprintf(stderr, "trit: %s\n", escaped);
    return code;
}

enum exit_code complain_of_call(const struct trit_error *error)
{
    char words[COMPLAINT_BYTES];

    option_words(words, sizeof(words), error->message);
    return complain(FAILED, "%s: %s", trit_status_name(error->status), words);
}

enum exit_code cli_connect(const struct options *options, struct trit_client **client)
{
    struct trit_connect_options connect = {.size = sizeof(connect),
                                           .address = options->server,
                                           .timeout_ms = options->timeout_ms,
                                           .token_file = options->token_file,
                                           .tls_ca = options->tls_ca,
                                           .tls_cert = options->tls_cert,
                                           .tls_key = options->tls_key,
                                           .tls_server_name = options->tls_server_name};
    const struct trit_retry_policy retry = {.size = sizeof(retry),
                                            .max_attempts = options->max_attempts};
    struct trit_error error = TRIT_ERROR_INIT;
    char words[COMPLAINT_BYTES];

    *client = NULL;
    if (option_given(options, OPTION_TLS))
        connect.tls = TRIT_TLS_ON;
    if (option_given(options, OPTION_WAIT))
        connect.wait_for_ready = TRIT_WAIT_ON;
    if (options->max_attempts > 1)
        connect.retry = &retry;
    if (trit_connect(client, &connect, &error) == TRIT_OK)
        return DONE;
    option_words(words, sizeof(words), error.message);
    return complain(error.status == TRIT_INVALID_ARGUMENT ? USAGE : FAILED, "%s", words);
}

enum exit_code cli_check_steps(const char *name, const struct options *options)
{
    if (!option_given(options, OPTION_FROM) || !option_given(options, OPTION_TO) ||
        options->step_from <= options->step_to)
        return DONE;
    return complain(USAGE, "%s: --from %" PRIu64 " is above --to %" PRIu64, name,
                    options->step_from, options->step_to);
}

enum exit_code cli_with_client(enum exit_code (*run)(struct trit_client *client,
                                                     const struct options *options),
                               const struct options *options)
{
    struct trit_client *client;
    enum exit_code code = cli_connect(options, &client);

    if (code == DONE)
        code = run(client, options);
    trit_close(client);
    return code;
}

static int write_json(const char *json, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t safe = utf8_json_safe(json + at, count - at);
        char shown[UTF8_SHOWN_BYTES];

        if (fwrite(json + at, 1, safe, stdout) != safe)
            return -1;
        at += safe;
        if (at == count)
            break;
        at += utf8_show_json(json + at, shown);
        if (fputs(shown, stdout) < 0)
            return -1;
    }
    return 0;
}

static enum exit_code print(json_t *json, unsigned flags, enum exit_code code)
{
    size_t bytes;
    char *text = json_print(json, flags | JSON_PRINT_NEWLINE, &bytes);

    if (!text || write_json(text, bytes) < 0)
        code = complain(FAILED, text ? "cannot write JSON" : "out of memory");
    free(text);
    json_decref(json);
    return code;
}

enum exit_code print_json(json_t *json, enum exit_code code)
{
    return print(json, JSON_PRINT_INDENTED, code);
}

enum exit_code print_json_line(json_t *json)
{
    return print(json, 0, DONE);
}
