/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/check.h"
#include "app/config.h"
#include "app/notify.h"

/* Exit codes: 0 served and drained, or --version and the like; 1 could not start,
 * or --check-data found damage, or what was asked for could not be written; 2 the options
 * are not valid. */

static int complain(const struct failure *failure, int code)
{
    fprintf(stderr, "tritd: %s\n", failure->message);
    return code;
}

static int serve(const struct config *config)
{
    struct failure failure = {.status = TRIT_OK};
    struct notify_extension extension;
    struct app *app;
    int started;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ,
           SIG_IGN); /* a write beyond `ulimit -f` fails like one on a full disk */
    notify_extension_begin(&extension);
    started = app_start(&app, config, &failure);
    notify_extension_end(&extension);
    if (started < 0)
        return complain(&failure, failure.status == TRIT_INVALID_ARGUMENT ? 2 : 1);
    if (printf("tritd ready %s\n", app_addresses(app)) < 0 || fflush(stdout) != 0)
        fprintf(stderr, "tritd: cannot write the ready line to standard output: %s\n",
                strerror(errno));
    notify("READY=1");
    app_run(app);
    app_destroy(app);
    return 0;
}

/* What was asked for is lost if it is not written. */
static int end_output(int written, int code)
{
    if (written >= 0 && fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "tritd: cannot write to standard output: %s\n", strerror(errno));
    return code ? code : 1;
}

int main(int argc, char **argv)
{
    struct failure failure = {.status = TRIT_OK};
    enum config_action action;
    struct config config;
    int64_t faults;
    int code = 0, written = 0;

    app_hold_hangups();
    if (config_read(&config, &action, argc, argv, &failure) < 0)
        return complain(&failure, 2);
    switch (action) {
    case CONFIG_SERVE:
        code = serve(&config);
        break;
    case CONFIG_CHECK:
        if (config_check(&config, &failure) < 0)
            code = complain(&failure, 2);
        else
            printf("the configuration is valid\n");
        break;
    case CONFIG_CHECK_DATA:
        faults = data_check(&config, &failure);
        code = faults < 0 ? complain(&failure, 2) : faults > 0;
        break;
    case CONFIG_VERSION:
        printf("tritd %s\n", TRITD_VERSION);
        break;
    case CONFIG_HELP:
        written = config_help(1);
        break;
    }
    config_fini(&config);
    return action == CONFIG_SERVE ? code : end_output(written, code);
}
