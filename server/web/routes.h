/* What is served where. */
#ifndef WEB_ROUTES_H
#define WEB_ROUTES_H

#include "web/request.h"

extern const struct route routes[]; /* ends with a NULL pattern */

handler serve_livez, serve_readyz, serve_healthz, serve_metrics; /* health.c */
handler serve_runs_json, serve_layers_json, serve_layer_json;    /* json.c */
handler serve_index_page, serve_run_page, serve_layer_page;      /* pages.c */
handler serve_style, serve_icon;                                 /* style.c */

/* Takes `value` (NULL: no memory was there for it) as the reply's body. */
struct json_t;
int reply_json(struct reply *reply, struct json_t *value, struct failure *failure);

/* The body of an error reply, with its type. */
void reply_error(struct reply *reply, const struct failure *failure);
unsigned http_status_of(enum trit_status status);

#endif
