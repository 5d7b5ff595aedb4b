/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "third_party/yyjson/yyjson.h"
#include "json/json.h"

struct reading {
    unsigned flags;
    enum json_fault_kind fault;
};

static const char *const fault_words[] = {
    [JSON_FAULT_NONE] = "",
    [JSON_FAULT_MEMORY] = "out of memory",
    [JSON_FAULT_DUPLICATE_KEY] = "a duplicate key",
    [JSON_FAULT_UTF8] = "bytes that are not UTF-8",
    [JSON_FAULT_NUL] = "a NUL character",
    [JSON_FAULT_END] = "its end too early",
    [JSON_FAULT_NUMBER] = "a number above 2^63-1",
    [JSON_FAULT_DEPTH] = "too many nested arrays and objects",
    [JSON_FAULT_SYNTAX] = "invalid JSON",
};

static json_t *failed(struct reading *reading, enum json_fault_kind kind)
{
    if (reading->fault == JSON_FAULT_NONE)
        reading->fault = kind;
    return NULL;
}

/* NULL from jansson can only mean that memory ran out: yyjson has checked the text. */
static json_t *made(struct reading *reading, json_t *json)
{
    return json ? json : failed(reading, JSON_FAULT_MEMORY);
}

static json_t *convert(struct reading *reading, yyjson_val *value, unsigned depth);

static json_t *convert_string(struct reading *reading, yyjson_val *value)
{
    const char *text = yyjson_get_str(value);
    size_t length = yyjson_get_len(value);

    if (memchr(text, '\0', length))
        return failed(reading, JSON_FAULT_NUL);
    return made(reading, json_stringn_nocheck(text, length));
}

/* A jansson number is always finite. */
static json_t *convert_infinity(struct reading *reading, double value)
{
    const char text[] = {JSON_INFINITY_MARK, '\0'};

    return made(reading, json_sprintf("%s%s", text,
                                      isnan(value) ? "NaN"
                                      : value < 0  ? "-Infinity"
                                                   : "Infinity"));
}

static json_t *convert_number(struct reading *reading, yyjson_val *value)
{
    if (yyjson_is_real(value) && !isfinite(yyjson_get_real(value)))
        return convert_infinity(reading, yyjson_get_real(value));
    if (yyjson_is_real(value))
        return made(reading, json_real(yyjson_get_real(value)));
    if (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX)
        return failed(reading, JSON_FAULT_NUMBER);
    return made(reading, json_integer(yyjson_get_sint(value)));
}

static json_t *convert_array(struct reading *reading, yyjson_val *value, unsigned depth)
{
    json_t *array = made(reading, json_array());
    yyjson_arr_iter iterator = yyjson_arr_iter_with(value);
    yyjson_val *item;

    while (array && (item = yyjson_arr_iter_next(&iterator))) {
        json_t *made_item = convert(reading, item, depth);

        if (!made_item || json_array_append_new(array, made_item) < 0) {
            json_decref(array);
            return made_item ? failed(reading, JSON_FAULT_MEMORY) : NULL;
        }
    }
    return array;
}

static int add_member(struct reading *reading, json_t *object, yyjson_val *key,
                      yyjson_val *value, unsigned depth)
{
    const char *name = yyjson_get_str(key);
    json_t *item;

    if (memchr(name, '\0', yyjson_get_len(key))) {
        failed(reading, JSON_FAULT_NUL);
        return -1;
    }
    if ((reading->flags & JSON_READ_UNIQUE_KEYS) && json_object_get(object, name)) {
        failed(reading, JSON_FAULT_DUPLICATE_KEY);
        return -1;
    }
    item = convert(reading, value, depth);
    if (!item)
        return -1;
    if (json_object_set_new_nocheck(object, name, item) < 0) {
        failed(reading, JSON_FAULT_MEMORY);
        return -1;
    }
    return 0;
}

static json_t *convert_object(struct reading *reading, yyjson_val *value, unsigned depth)
{
    json_t *object = made(reading, json_object());
    yyjson_obj_iter iterator = yyjson_obj_iter_with(value);
    yyjson_val *key;

    while (object && (key = yyjson_obj_iter_next(&iterator))) {
        if (add_member(reading, object, key, yyjson_obj_iter_get_val(key), depth) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *convert(struct reading *reading, yyjson_val *value, unsigned depth)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return json_null();
    case YYJSON_TYPE_BOOL:
        return json_boolean(yyjson_get_bool(value));
    case YYJSON_TYPE_NUM:
        return convert_number(reading, value);
    case YYJSON_TYPE_STR:
        return convert_string(reading, value);
    case YYJSON_TYPE_ARR:
    case YYJSON_TYPE_OBJ:
        if (depth == JSON_DEPTH_MAX)
            return failed(reading, JSON_FAULT_DEPTH);
        return yyjson_is_arr(value) ? convert_array(reading, value, depth + 1)
                                    : convert_object(reading, value, depth + 1);
    default:
        return failed(reading, JSON_FAULT_SYNTAX);
    }
}

static enum json_fault_kind kind_of(const yyjson_read_err *error, const char *text,
                                    size_t bytes)
{
    if (error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return JSON_FAULT_MEMORY;
    if (error->code == YYJSON_READ_ERROR_UNEXPECTED_END ||
        error->code == YYJSON_READ_ERROR_EMPTY_CONTENT)
        return JSON_FAULT_END;
    if (error->code == YYJSON_READ_ERROR_INVALID_STRING && error->pos < bytes &&
        (uint8_t)text[error->pos] >= 0x80)
        return JSON_FAULT_UTF8;
    return JSON_FAULT_SYNTAX;
}

static size_t line_of(const char *text, size_t position)
{
    size_t line = 1;

    for (size_t i = 0; i < position; i++)
        line += text[i] == '\n';
    return line;
}

json_t *json_read(const char *text, size_t bytes, unsigned flags,
                  struct json_fault *fault)
{
    struct reading reading = {.flags = flags};
    yyjson_read_err error = {.code = YYJSON_READ_ERROR_EMPTY_CONTENT};
    /* Without the flag INSITU, yyjson does not change the text. */
    const yyjson_read_flag how =
        flags & JSON_READ_INFINITY ? YYJSON_READ_ALLOW_INF_AND_NAN : YYJSON_READ_NOFLAG;
    yyjson_doc *document =
        bytes ? yyjson_read_opts((char *)(uintptr_t)text, bytes, how, NULL, &error)
              : NULL;
    json_t *json = NULL;

    if (document)
        json = convert(&reading, yyjson_doc_get_root(document), 0);
    else
        reading.fault = kind_of(&error, text, bytes);
    yyjson_doc_free(document);
    *fault = (struct json_fault){
        .kind = reading.fault,
        .position = document || error.pos > bytes ? 0 : error.pos,
        .words = fault_words[reading.fault],
    };
    fault->line = line_of(text, fault->position);
    return json;
}

enum trit_status json_fault_status(const struct json_fault *fault)
{
    return fault->kind == JSON_FAULT_MEMORY ? TRIT_RESOURCE_EXHAUSTED
                                            : TRIT_INVALID_ARGUMENT;
}
