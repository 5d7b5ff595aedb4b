/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the routes. */
#ifndef WEB_HANDLERS_H
#define WEB_HANDLERS_H

#include "web/request.h"

handler serve_livez, serve_readyz, serve_healthz, serve_metrics; /* health.c */
handler serve_runs_json, serve_layers_json, serve_layer_json;    /* json.c */
handler serve_index_page, serve_run_page, serve_layer_page;      /* pages.c */
handler serve_style, serve_icon;                                 /* style.c */

#endif
