/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the services that a table of methods has. */
#ifndef SERVICES_SERVICE_NAMES_H
#define SERVICES_SERVICE_NAMES_H

#include <stdbool.h>
#include <string.h>

#include "grpc/grpc.h"
#include "grpc/method.h"

/* The length of the service's name in "/package.Service/Method", where it begins at 1. */
static inline size_t service_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path) - 1;
}

/* Whether an earlier method of the table has the same service. */
static inline bool service_is_repeated(const struct grpc_config *config, size_t index)
{
    const char *path = config->methods[index]->path;
    size_t length = service_length(path) + 2; /* with both slashes */

    for (size_t i = 0; i < index; i++)
        if (strncmp(config->methods[i]->path, path, length) == 0)
            return true;
    return false;
}

#endif
