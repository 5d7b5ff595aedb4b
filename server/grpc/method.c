/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/method.h"

#include <string.h>

const struct method *method_find(const struct method *const *methods, size_t count,
                                 const char *path, size_t *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(methods[i]->path, path) == 0) {
            *id = i;
            return methods[i];
        }
    }
    return NULL;
}
