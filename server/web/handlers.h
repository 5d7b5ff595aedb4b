/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the routes. */
#ifndef WEB_HANDLERS_H
#define WEB_HANDLERS_H

#include "web/request.h"

handler serve_livez, serve_readyz, serve_healthz, serve_metrics; /* health.c */
handler serve_runs_json, serve_layers_json, serve_layer_json;    /* json.c */
handler serve_run_json, serve_history_json;                      /* run_json.c */
handler serve_index_page;                                        /* page_runs.c */
handler serve_run_page;                                          /* page_run.c */
handler serve_layer_page;                                        /* page_layer.c */
handler serve_compare_page;                                      /* page_compare.c */
handler serve_jobs_page, serve_job_page;                         /* page_jobs.c */
handler serve_jobs_json, serve_job_json;                         /* jobs_json.c */
handler serve_events;                                            /* assets.c */
handler serve_style, serve_script, serve_icon, serve_openapi;    /* assets.c */

#endif
