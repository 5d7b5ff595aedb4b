/* SPDX-License-Identifier: Apache-2.0 */
/* SIGHUP. Each part is read on its own: a part that cannot be read keeps what it has, and
 * the others are still applied. Running calls go on. */
#include "access/access.h"
#include "app/certificates.h"
#include "app/impl.h"
#include "obs/log.h"
#include "obs/metrics.h"

static void failed(struct app *app, const char *what, const struct failure *failure)
{
    metric_add(app->metrics, M_RELOAD_FAILURES, 1);
    log_event(app->log, LOG_ERROR, "reload_failed",
              LOG_FIELDS(LOG_STR("what", what), LOG_STR("message", failure->message),
                         LOG_STR("next", "what was read before stays in force")));
}

static void option_changed(void *arg, const char *option, bool applied)
{
    struct app *app = arg;

    if (applied)
        log_event(app->log, LOG_INFO, "option_changed",
                  LOG_FIELDS(LOG_STR("option", option)));
    else
        log_event(app->log, LOG_WARN, "option_unchanged",
                  LOG_FIELDS(LOG_STR("option", option),
                             LOG_STR("why", "a new value needs a restart")));
}

void app_reload(struct app *app)
{
    struct failure failure = {.status = TRIT_OK};
    bool good = true;

    if (config_reload(&app->config, option_changed, app, &failure) < 0) {
        failed(app, "configuration", &failure);
        good = false;
    }
    log_set_level(app->log, app->config.log_level);
    pthread_mutex_lock(&app->limits_lock);
    app->limits = app->config.limits;
    app->reloads++;
    pthread_mutex_unlock(&app->limits_lock);
    failure.status = TRIT_OK;
    if (access_reload(app->access, &failure) < 0) {
        failed(app, "token-file", &failure);
        good = false;
    }
    failure.status = TRIT_OK;
    if (certificates_reload(app->tls, &failure) < 0) {
        failed(app, "certificates", &failure);
        good = false;
    }
    certificates_announce(app->tls, app->log, app->metrics);
    app->reload_good = good;
    loops_tell(app, LOOP_RELOAD);
}

/* Who waits for the log's line finds every loop with the new limits. */
void app_reloaded(struct app *app)
{
    for (unsigned i = 0; i < app->loop_count; i++)
        if (app->loops[i].reloads_seen < app->reloads)
            return;
    if (app->reloads_told == app->reloads)
        return;
    app->reloads_told = app->reloads;
    if (!app->reload_good)
        return;
    metric_add(app->metrics, M_RELOADS, 1);
    log_event(app->log, LOG_INFO, "reloaded",
              LOG_FIELDS(LOG_U64("access_rules", access_count(app->access))));
}
