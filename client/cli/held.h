/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that the daemon holds, as `trit layers` names and shows them. */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include "client/cli/cli.h"

/* Options that all these commands take. */
#define HELD_OPTIONS                                                                     \
    (OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |  \
     OPTION_BIT(OPTION_HELP))

extern const struct command cmd_layers_load, cmd_layers_get;

/* Fills the spec from the name and from --kind, --bias, --group-size and --keep-latents,
 * as far as they are given. -1: the name is too long; it has complained. */
int held_spec(const struct options *options, const char *name,
              struct trit_layer_spec *spec);

struct json_t *held_json(const struct trit_layer_spec *spec);

/* One layer, with a verb ("created"): a sentence, or JSON with --json. */
enum exit_code held_show(const struct options *options, const char *verb,
                         const struct trit_layer_spec *spec);

const char *held_kind(enum trit_layer_kind kind); /* "linear" */

#endif
