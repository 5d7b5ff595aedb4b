/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/sized.h"

#include <string.h>

enum {
    /* A larger size is a struct that was not initialized, not one of a later version. */
    STRUCT_BYTES_MAX = 1 << 16,
};

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define SIZED_DEFINE(type, init, last)                                                   \
    const struct sized sized_##type = {"trit_" #type, "TRIT_" #init "_INIT",             \
                                       sizeof(struct trit_##type),                       \
                                       END_OF(struct trit_##type, last)};
SIZED_STRUCTS(SIZED_DEFINE)

static size_t size_of(const void *given)
{
    size_t size;

    memcpy(&size, given, sizeof(size));
    return size;
}

int fail_null(struct failure *failure, const char *name)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, name, "is NULL");
}

int sized_check(const struct sized *type, const char *field, const void *given,
                struct failure *failure)
{
    if (!given)
        return fail_null(failure, field);
    if (size_of(given) < type->bytes_first || size_of(given) > STRUCT_BYTES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "struct %s has size %zu; initialize it with %s", type->name,
                          size_of(given), type->init);
    return 0;
}

int sized_read(const struct sized *type, const char *field, const void *given, void *copy,
               struct failure *failure)
{
    if (sized_check(type, field, given, failure) < 0)
        return -1;
    memset(copy, 0, type->bytes);
    memcpy(copy, given, size_of(given) < type->bytes ? size_of(given) : type->bytes);
    memcpy(copy, &type->bytes, sizeof(type->bytes));
    return 0;
}

int sized_take(const struct sized *type, const char *field, const void *given, void *copy,
               struct failure *failure)
{
    const unsigned char *bytes = given;

    if (sized_read(type, field, given, copy, failure) < 0)
        return -1;
    for (size_t i = type->bytes; i < size_of(given); i++)
        if (bytes[i])
            return fail_field(
                failure, TRIT_INVALID_ARGUMENT, field,
                "sets a member of struct %s, at byte %zu, that libtrit " TRIT_VERSION_STRING
                " does not know",
                type->name, i);
    return 0;
}

int sized_take_optional(const struct sized *type, const char *field, const void *given,
                        void *copy, struct failure *failure)
{
    if (given)
        return sized_take(type, field, given, copy, failure);
    memset(copy, 0, type->bytes);
    memcpy(copy, &type->bytes, sizeof(type->bytes));
    return 0;
}

void sized_give(const struct sized *type, void *to, const void *from)
{
    const size_t size = size_of(to);

    memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
           (size < type->bytes ? size : type->bytes) - sizeof(size));
}
