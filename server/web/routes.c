/* SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include "web/handlers.h"

const struct route routes[] = {
    {"/", serve_index_page, "after_run after"},
    {"/runs/*", serve_run_page, "after"},
    {"/runs/*/layers/*", serve_layer_page, "step to"},
    {"/v1/runs", serve_runs_json, "after"},
    {"/v1/runs/*/layers", serve_layers_json, "after"},
    {"/v1/runs/*/layers/*", serve_layer_json, "step from to"},
    {"/livez", serve_livez, NULL},
    {"/readyz", serve_readyz, NULL},
    {"/healthz", serve_healthz, NULL},
    {"/metrics", serve_metrics, NULL},
    {"/style.css", serve_style, NULL},
    {"/icon.svg", serve_icon, NULL},
    {NULL, NULL, NULL},
};
