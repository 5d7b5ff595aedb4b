/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "third_party/yyjson/yyjson.h"
#include "json/json.h"

struct printing {
    yyjson_mut_doc *document;
    bool sorted, infinity;
};

/* Texts are borrowed from the json_t. NULL: memory ran out, here as below. */
static yyjson_mut_val *convert(struct printing *printing, const json_t *json);

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys in the order in which they are printed. */
static const char **keys_of(const json_t *object, bool sorted)
{
    const char **keys = malloc((json_object_size(object) + 1) * sizeof(keys[0]));
    const char *key;
    json_t *item;
    size_t count = 0;

    if (!keys)
        return NULL;
    json_object_foreach((json_t *)(uintptr_t)object, key, item) keys[count++] = key;
    if (sorted)
        qsort(keys, count, sizeof(keys[0]), compare_keys);
    return keys;
}

static yyjson_mut_val *convert_object(struct printing *printing, const json_t *json)
{
    yyjson_mut_val *object = yyjson_mut_obj(printing->document);
    const char **keys = keys_of(json, printing->sorted);

    for (size_t i = 0; keys && object && i < json_object_size(json); i++)
        if (!yyjson_mut_obj_add(object, yyjson_mut_str(printing->document, keys[i]),
                                convert(printing, json_object_get(json, keys[i]))))
            object = NULL;
    free(keys);
    return keys ? object : NULL;
}

static yyjson_mut_val *convert_array(struct printing *printing, const json_t *json)
{
    yyjson_mut_val *array = yyjson_mut_arr(printing->document);

    for (size_t i = 0; array && i < json_array_size(json); i++)
        if (!yyjson_mut_arr_append(array, convert(printing, json_array_get(json, i))))
            array = NULL;
    return array;
}

static bool is_infinity(const char *text)
{
    return text[0] == JSON_INFINITY_MARK &&
           (strcmp(text + 1, "NaN") == 0 || strcmp(text + 1, "Infinity") == 0 ||
            strcmp(text + 1, "-Infinity") == 0);
}

static yyjson_mut_val *convert_string(struct printing *printing, const json_t *json)
{
    const char *text = json_string_value(json);

    return printing->infinity && is_infinity(text)
               ? yyjson_mut_raw(printing->document, text + 1)
               : yyjson_mut_strn(printing->document, text, json_string_length(json));
}

static yyjson_mut_val *convert(struct printing *printing, const json_t *json)
{
    yyjson_mut_doc *document = printing->document;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return convert_object(printing, json);
    case JSON_ARRAY:
        return convert_array(printing, json);
    case JSON_STRING:
        return convert_string(printing, json);
    case JSON_INTEGER:
        return yyjson_mut_sint(document, json_integer_value(json));
    case JSON_REAL:
        return yyjson_mut_real(document, json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE:
        return yyjson_mut_bool(document, json_is_true(json));
    case JSON_NULL:
        break;
    }
    return yyjson_mut_null(document);
}

char *json_print(const json_t *json, unsigned flags, size_t *bytes)
{
    struct printing printing = {.document = yyjson_mut_doc_new(NULL),
                                .sorted = flags & JSON_PRINT_SORTED,
                                .infinity = flags & JSON_PRINT_INFINITY};
    yyjson_mut_val *root = printing.document && json ? convert(&printing, json) : NULL;
    char *text = NULL;

    if (root) {
        yyjson_mut_doc_set_root(printing.document, root);
        text = yyjson_mut_write_opts(
            printing.document,
            (flags & JSON_PRINT_INDENTED ? YYJSON_WRITE_PRETTY_TWO_SPACES
                                         : YYJSON_WRITE_NOFLAG) |
                (flags & JSON_PRINT_NEWLINE ? YYJSON_WRITE_NEWLINE_AT_END
                                            : YYJSON_WRITE_NOFLAG),
            NULL, bytes, NULL);
    }
    yyjson_mut_doc_free(printing.document);
    return text;
}

const char *json_number_text(double value, char text[JSON_NUMBER_BYTES])
{
    yyjson_val number = {0};
    char *end = NULL;

    if (isfinite(value) && yyjson_set_real(&number, value))
        end = yyjson_write_number(&number, text);
    if (!end)
        memcpy(text, "null", 5);
    return text;
}
