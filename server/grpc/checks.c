/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/checks.h"

#include <stdio.h>
#include <string.h>

#include "grpc/call.h"
#include "proto/names.h"

int decode_failed(struct call *call, const char *path, const char *error)
{
    char field[64];
    size_t length = strcspn(error, ":");

    snprintf(field, sizeof(field), "%s%.*s", path, (int)(length < 40 ? length : 40),
             error);
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, error[length] ? field : NULL,
                "%s%s", path, error);
}

int check_enum(struct call *call, const char *field, const struct enum_names *names,
               uint32_t value)
{
    if (enum_name(names, value))
        return 0;
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field, "%u is not a %s",
                      (unsigned)value, names->type);
}
