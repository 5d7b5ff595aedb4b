/* SPDX-License-Identifier: Apache-2.0 */
#include "app/certificates.h"

#include <stdio.h>
#include <time.h>

#include "app/config.h"
#include "obs/metrics.h"
#include "tls/tls.h"

static const char *option_name(const char *field)
{
    if (field[0] == 'c')
        return "tls-cert";
    return field[0] == 'k' ? "tls-key" : "tls-client-ca";
}

/* The tls module says which file; this says by which option it was given. */
static int name_option(struct failure *failure)
{
    const char *option;

    if (failure->field[0] == '\0')
        return -1;
    option = option_name(failure->field);
    snprintf(failure->field, sizeof(failure->field), "%s", option);
    return fail_context(failure, "%s", option);
}

int certificates_open(struct tls_context **tls, const struct config *config,
                      struct failure *failure)
{
    const struct tls_options options = {
        .cert = config->tls_cert, .key = config->tls_key, .trust = config->tls_client_ca};

    *tls = NULL;
    if (!config->tls_cert)
        return 0;
    if (tls_context_create(tls, TLS_SERVER, &options, failure) < 0)
        return name_option(failure);
    return 0;
}

int certificates_reload(struct tls_context *tls, struct failure *failure)
{
    if (!tls || tls_context_reload(tls, failure) == 0)
        return 0;
    return name_option(failure);
}

void certificates_announce(struct tls_context *tls, struct log *log,
                           struct metrics *metrics)
{
    uint64_t expires = tls ? tls_context_expires(tls) : 0;
    time_t at = (time_t)expires;
    struct tm parts;
    char day[32] = "";

    if (!tls)
        return;
    metric_set(metrics, M_TLS_EXPIRES, expires);
    if (gmtime_r(&at, &parts))
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (at <= time(NULL))
        log_event(log, LOG_WARN, "tls_certificate_expired",
                  LOG_FIELDS(LOG_STR("expired", day),
                             LOG_STR("next", "clients will refuse it: renew it, then "
                                             "send SIGHUP")));
    else
        log_event(log, LOG_INFO, "tls_certificate", LOG_FIELDS(LOG_STR("expires", day)));
}
