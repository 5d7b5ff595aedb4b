/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/engine.h"

#include "client/cli/wording.h"

enum exit_code daemon_engine_open(struct call_engine *engine,
                                  const struct options *options)
{
    const struct trit_layer_ref layer = {.size = sizeof(layer),
                                         .run = options->run,
                                         .step = options->step,
                                         .attempt = (uint32_t)options->attempt,
                                         .replica = (uint32_t)options->replica};
    struct trit_client *client;
    const enum exit_code code = cli_connect(options, &client);

    call_engine_init(engine, client, &layer, call_ended);
    engine->durability = options->durability;
    return code;
}

void daemon_engine_close(struct call_engine *engine)
{
    trit_close(engine->client);
    engine->client = NULL;
}
