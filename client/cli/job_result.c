/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/job_result.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/escape.h"

static void print_escaped(const char *text)
{
    char shown[ESCAPED_BYTES];

    puts(escaped(shown, text));
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

/* A tensor that a plan refuses, or that differs from another one. */
static void print_tensor(const json_t *tensor)
{
    char text[2048];

    if (strcmp(text_of(tensor, "action"), "refuse") == 0)
        snprintf(text, sizeof(text), "%s: %s", text_of(tensor, "name"),
                 text_of(tensor, "reason"));
    else if (json_is_false(json_object_get(tensor, "equal")))
        snprintf(text, sizeof(text), "%s: %s", text_of(tensor, "tensor"),
                 text_of(tensor, "what"));
    else
        return;
    print_escaped(text);
}

/* A layer that differs from another one. */
static void print_layer(const json_t *layer)
{
    char text[2048];

    if (!json_is_false(json_object_get(layer, "equal")))
        return;
    snprintf(text, sizeof(text),
             "%s: %s of %s codes differ, the largest ratio of scales is %.6g, the first "
             "difference is at element %s",
             text_of(layer, "layer"), text_of(layer, "codes_differing"),
             text_of(layer, "elements"),
             json_number_value(json_object_get(layer, "scale_ratio_max")),
             text_of(layer, "first"));
    print_escaped(text);
}

static void print_finding(const json_t *finding)
{
    static const char *const members[] = {"layer", "tensor", "hint"};
    char text[2048];
    size_t used =
        (size_t)snprintf(text, sizeof(text), "%s: %s",
                         json_string_value(json_object_get(finding, "severity")),
                         json_string_value(json_object_get(finding, "kind")));

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const char *value = json_string_value(json_object_get(finding, members[i]));

        if (value && used < sizeof(text))
            used += (size_t)snprintf(text + used, sizeof(text) - used, ": %s", value);
    }
    print_escaped(text);
}

static void print_each(const json_t *result, const char *member,
                       void (*print)(const json_t *item))
{
    size_t index;
    json_t *item;

    json_array_foreach(json_object_get(result, member), index, item)
    {
        print(item);
    }
}

void job_result_print(const json_t *result)
{
    print_each(result, "findings", print_finding);
    print_each(result, "layers", print_layer);
    print_each(result, "tensors", print_tensor);
}
