/* SPDX-License-Identifier: Apache-2.0 */
/* All methods of the daemon. */
#ifndef SERVICES_METHODS_H
#define SERVICES_METHODS_H

#include "grpc/method.h"

extern const struct method method_project, method_verify, method_unpack, method_backward,
    method_project_stream, method_verify_stream, method_pack, method_pack_stream,
    method_reports_get, method_reports_list, method_reports_rewind, method_reports_fork,
    method_reports_delete, method_reports_compare, method_reports_watch,
    method_health_check, method_health_list, method_health_watch, method_reflection_v1,
    method_reflection_v1alpha, method_layers_create, method_layers_load,
    method_layers_load_stream, method_layers_get, method_layers_list,
    method_layers_delete, method_layers_forward, method_layers_backward,
    method_layers_embed, method_layers_as_linear, method_layers_verify,
    method_checkpoints_inspect, method_checkpoints_plan, method_checkpoints_verify,
    method_checkpoints_project, method_checkpoints_pack, method_checkpoints_diff,
    method_checkpoints_jobs, method_checkpoints_attach, method_checkpoints_cancel;

#endif
