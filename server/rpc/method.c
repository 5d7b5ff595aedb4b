#include "rpc/method.h"

#include <string.h>

#include "rpc/rpc.h"

static const struct method *const methods[] = {
    &method_project,          &method_verify,          &method_unpack,
    &method_backward,         &method_project_stream,  &method_verify_stream,
    &method_reports_get,      &method_reports_list,    &method_health_check,
    &method_layers_create,    &method_layers_load,     &method_layers_load_stream,
    &method_layers_get,       &method_layers_list,     &method_layers_delete,
    &method_layers_forward,   &method_layers_backward, &method_layers_embed,
    &method_layers_as_linear, &method_layers_verify,
};

enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

const struct method *method_find(const char *path, size_t *id)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(methods[i]->path, path) == 0) {
            *id = i;
            return methods[i];
        }
    }
    return NULL;
}

const char *rpc_method_path(size_t id)
{
    return id < METHOD_COUNT ? methods[id]->path : NULL;
}
