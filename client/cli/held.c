/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/held.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_value.h"
#include "proto/names.h"
#include "proto/utf8.h"

const char *held_kind(enum trit_layer_kind kind)
{
    const char *name = enum_name(&layer_kind_names, kind);

    return name ? name : "?";
}

int held_spec(const struct options *options, const char *name,
              struct trit_layer_spec *spec)
{
    *spec = (struct trit_layer_spec){.size = sizeof(*spec),
                                     .kind = options->kind,
                                     .bias = option_given(options, OPTION_BIAS),
                                     .group_size = options->group_size,
                                     .keep_latents =
                                         option_given(options, OPTION_KEEP_LATENTS)};
    if (strlen(name) > TRIT_NAME_BYTES_MAX) {
        complain(USAGE, "layers: the name is longer than %d bytes",
                 (int)TRIT_NAME_BYTES_MAX);
        return -1;
    }
    memcpy(spec->name, name, strlen(name) + 1);
    return 0;
}

json_t *held_json(const struct trit_layer_spec *spec)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:i, s:b}", "name", spec->name, "kind",
                     held_kind(spec->kind), "in_features", json_uint64(spec->in_features),
                     "out_features", json_uint64(spec->out_features), "bias",
                     (int)spec->bias, "group_size", (int)spec->group_size, "keep_latents",
                     (int)spec->keep_latents);
}

enum exit_code held_show(const struct options *options, const char *verb,
                         const struct trit_layer_spec *spec)
{
    char name[4 * TRIT_NAME_BYTES_MAX + 1];

    if (option_given(options, OPTION_JSON))
        return print_json(held_json(spec), DONE);
    utf8_show_text(name, sizeof(name), spec->name);
    printf("%s %s: %s [%" PRIu64 ", %" PRIu64 "], group size %u%s%s\n", verb, name,
           held_kind(spec->kind), spec->out_features, spec->in_features,
           (unsigned)spec->group_size, spec->bias ? ", bias" : "",
           spec->keep_latents ? ", latents kept" : "");
    return DONE;
}
