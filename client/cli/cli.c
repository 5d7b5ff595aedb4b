/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/cli.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/cli/escape.h"

enum { COMPLAINT_BYTES = 8192 };

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    char raw[COMPLAINT_BYTES], escaped[COMPLAINT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    escape_text(escaped, sizeof(escaped), raw);
    fprintf(stderr, "trit: %s\n", escaped);
    return code;
}

enum exit_code complain_of_call(const struct trit_error *error)
{
    return complain(FAILED, "%s: %s", trit_status_name(error->status), error->message);
}

struct trit_client *cli_connect(const struct options *options)
{
    struct trit_connect_options connect = {.size = sizeof(connect),
                                           .address = options->server,
                                           .timeout_ms = options->timeout_ms};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;

    if (trit_connect(&client, &connect, &error) == TRIT_OK)
        return client;
    complain(FAILED, "%s", error.message);
    return NULL;
}

enum exit_code print_json(json_t *json, enum exit_code code)
{
    if (!json || json_dumpf(json, stdout, JSON_INDENT(2)) != 0)
        code = complain(FAILED, json ? "cannot write JSON" : "out of memory");
    putchar('\n');
    json_decref(json);
    return code;
}
