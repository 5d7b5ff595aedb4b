/* SPDX-License-Identifier: Apache-2.0 */
/* trit ping: checks that the daemon can be reached and serves. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/cli/cli.h"
#include "client/cli/escape.h"

static enum exit_code show(const struct options *options, bool serving, double ms)
{
    const char *address = options->server ? options->server : getenv("TRITD_ADDRESS");
    const char *service = options->service ? options->service : "";
    enum exit_code code = serving ? DONE : MISMATCH;
    char shown[ESCAPED_BYTES];

    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:b, s:s, s:f}", "serving", (int)serving, "service",
                                    service, "ms", ms),
                          code);
    if (!serving)
        return complain(code, "%s%sthe daemon is not serving", service,
                        *service ? ": " : "");
    printf("%s serves, %.2f ms\n",
           escaped(shown, address && *address ? address : "127.0.0.1:6561"), ms);
    return code;
}

static enum exit_code run_ping(const struct options *options)
{
    struct trit_error error = TRIT_ERROR_INIT;
    uint64_t start = clock_monotonic_ns();
    struct trit_client *client;
    enum trit_status status;
    bool serving = false;
    double ms;
    const enum exit_code code = cli_connect(options, &client);

    if (code != DONE)
        return code;
    status = trit_ping(client, options->service, NULL, &serving, &error);
    ms = (double)(clock_monotonic_ns() - start) / 1e6;
    trit_close(client);
    if (status != TRIT_OK)
        return complain_of_call(&error);
    return show(options, serving, ms);
}

const struct command cmd_ping = {
    .name = "ping",
    .arguments = "[--service NAME] [OPTION...]",
    .summary = "ask the daemon whether it serves",
    .details = "Exit code 1: the daemon answers but does not serve.",
    .options = OPTION_BIT(OPTION_SERVICE) | OPTION_BIT(OPTION_SERVER) |
               OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |
               OPTION_BIT(OPTION_HELP),
    .arguments_max = 0,
    .run = run_ping,
};
