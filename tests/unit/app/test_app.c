/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/config.h"
#include "app/state.h"
#include "tests/lib/check.h"
#include "tests/lib/moves.h"

/* ---- helpers ---------------------------------------------------------------------- */

static int read_config(struct config *config, char **words, struct failure *failure)
{
    enum config_action action;
    int count = 0;

    while (words[count])
        count++;
    *failure = (struct failure){.status = TRIT_OK};
    return config_read(config, &action, count, words, failure);
}

#define WORDS(...)                                                                       \
    (char *[])                                                                           \
    {                                                                                    \
        (char *)"tritd", __VA_ARGS__, NULL                                               \
    }

static void check_refused(char **words, const char *what)
{
    struct failure failure;
    struct config config;

    CHECK(read_config(&config, words, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, what))
        check_failed(__FILE__, __LINE__, "\"%s\" should say \"%s\"", failure.message,
                     what);
}

static void *run(void *app)
{
    app_run(app);
    return NULL;
}

/* ---- cases ------------------------------------------------------------------------ */

CASE(starts_and_stops, "a daemon starts and stops twenty times, with one loop or several")
{
    struct config config;
    struct failure failure;

    CHECK(read_config(&config,
                      WORDS((char *)"--listen=127.0.0.1:0", (char *)"--http=127.0.0.1:0",
                            (char *)"--log-level=error", (char *)"--threads=2"),
                      &failure) == 0);
    for (int i = 0; i < 20; i++) {
        struct app *app;
        pthread_t thread;

        config.loops = (unsigned)i % 3 + 1;
        CHECK(app_start(&app, &config, &failure) == 0);
        CHECK(strstr(app_addresses(app), "rpc=127.0.0.1:"));
        CHECK(strstr(app_addresses(app), "http=127.0.0.1:"));
        CHECK(pthread_create(&thread, NULL, run, app) == 0);
        app_stop(app);
        if (i % 2)
            app_stop(app);
        pthread_join(thread, NULL);
        app_destroy(app);
    }
    config_fini(&config);
}

CASE(stops_after_the_end, "a stop of a daemon that has ended does nothing")
{
    struct config config;
    struct failure failure;
    struct app *app;

    CHECK(read_config(&config,
                      WORDS((char *)"--listen=127.0.0.1:0", (char *)"--http=off",
                            (char *)"--log-level=error"),
                      &failure) == 0);
    CHECK(app_start(&app, &config, &failure) == 0);
    app_stop(app);
    app_run(app);
    app_stop(app);
    app_destroy(app);
    config_fini(&config);
}

CASE(side_by_side, "three daemons run in one process at the same time")
{
    struct app *apps[3];
    struct config config;
    struct failure failure;

    CHECK(read_config(&config,
                      WORDS((char *)"--listen=127.0.0.1:0", (char *)"--http=off",
                            (char *)"--log-level=error"),
                      &failure) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(app_start(&apps[i], &config, &failure) == 0);
    for (int i = 0; i < 3; i++) {
        app_stop(apps[i]);
        app_run(apps[i]);
        app_destroy(apps[i]);
    }
    config_fini(&config);
}

CASE(start_fails_clean, "a start that fails reports why and leaves nothing behind")
{
    struct config config;
    struct failure failure;
    struct app *app;

    CHECK(read_config(&config,
                      WORDS((char *)"--listen=127.0.0.1:0", (char *)"--http=127.0.0.1:0",
                            (char *)"--log-level=error", (char *)"--loops=3"),
                      &failure) == 0);
    config.isa = "sse17";
    CHECK(app_start(&app, &config, &failure) < 0);
    CHECK(strstr(failure.message, "sse17"));
    config.isa = "portable";
    config.data_dir = "/proc/no/such/place";
    failure = (struct failure){.status = TRIT_OK};
    CHECK(app_start(&app, &config, &failure) < 0);
    CHECK(strstr(failure.message, "/proc/no/such/place"));
    config.data_dir = NULL;
    config.listen[0] = "127.0.0.1:99999";
    failure = (struct failure){.status = TRIT_OK};
    CHECK(app_start(&app, &config, &failure) < 0);
    CHECK(strstr(failure.message, "99999"));
    config.listen[0] = "127.0.0.1:0";
    config.http = "127.0.0.1:99999";
    failure = (struct failure){.status = TRIT_OK};
    CHECK(app_start(&app, &config, &failure) < 0);
    CHECK(strstr(failure.message, "99999"));
    config_fini(&config);
}

CASE(values, "an invalid option is refused by name and value")
{
    struct config config;
    struct failure failure;

    CHECK(read_config(&config,
                      WORDS((char *)"--memory-max", (char *)"2G", (char *)"--threads=3"),
                      &failure) == 0);
    CHECK_EQ(config.limits.memory_bytes_max, 2ull << 30);
    CHECK_EQ(config.threads, 3);
    CHECK_STR(config.listen[0], "127.0.0.1:6561");
    config_fini(&config);
    CHECK(read_config(&config, WORDS((char *)"--memory-max=512MiB"), &failure) == 0);
    CHECK_EQ(config.limits.memory_bytes_max, 512ull << 20);
    config_fini(&config);
    check_refused(WORDS((char *)"--memory-max=12Q"), "12Q");
    check_refused(WORDS((char *)"--memory-max=1MB"), "MiB");
    check_refused(WORDS((char *)"--memory-max=-1"), "-1");
    check_refused(WORDS((char *)"--memory-max=1K"), "at least 16M");
    check_refused(WORDS((char *)"--threads=many"), "many");
    check_refused(WORDS((char *)"--log-level=loud"), "loud");
    check_refused(WORDS((char *)"--no-such-thing"), "--no-such-thing");
    check_refused(WORDS((char *)"--checkpoint-folder=/tmp"), "no such option");
    check_refused(WORDS((char *)"--listen"), "needs a value");
    check_refused(WORDS((char *)"--listen="), "--listen");
    check_refused(WORDS((char *)"--config="), "--config \"\": No such file");
    check_refused(WORDS((char *)"stray"), "stray");
    check_refused(WORDS((char *)"--listen=0.0.0.0:1"), "0.0.0.0:1");
    check_refused(WORDS((char *)"--http=192.168.1.1:1"), "192.168.1.1:1");
}

CASE(zeros, "a limit of 0 that would serve nobody is refused")
{
    static const char *const options[] = {
        "connections-max", "handshake-ms", "http-request-ms", "idle-ms",
        "jobs-max",        "message-max",  "rate-ms",         "streams-max",
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        char word[64];

        snprintf(word, sizeof(word), "--%s=0", options[i]);
        check_refused(WORDS(word), "at least 1");
    }
    check_refused(WORDS((char *)"--streams-max=1000001"), "from 1 to 1000000");
}

CASE(precedence, "arguments go before environment before file before defaults")
{
    char path[] = "/tmp/test_app_XXXXXX";
    static const char text[] =
        "# a comment\nthreads = 5\nisa = portable\n  listen=127.0.0.1:1\n"
        "listen = unix:/tmp/x\n";
    int file = mkstemp(path);
    struct config config;
    struct failure failure;

    CHECK(write(file, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
    close(file);
    setenv("TRITD_THREADS", "6", 1);
    CHECK(read_config(&config, WORDS((char *)"--config", path), &failure) == 0);
    CHECK_EQ(config.threads, 6);
    CHECK_STR(config.isa, "portable");
    CHECK_EQ(config.listen_count, 2);
    config_fini(&config);
    CHECK(read_config(&config,
                      WORDS((char *)"--threads=7", (char *)"--config", path,
                            (char *)"--listen=127.0.0.1:2"),
                      &failure) == 0);
    CHECK_EQ(config.threads, 7);
    CHECK_EQ(config.listen_count, 1);
    CHECK_STR(config.listen[0], "127.0.0.1:2");
    config_fini(&config);
    unsetenv("TRITD_THREADS");
    unlink(path);
    check_refused(WORDS((char *)"--config=/no/such/file"), "/no/such/file");
}

CASE(files_name_known_options,
     "a file that names an option the daemon does not have is refused, by line")
{
    char path[] = "/tmp/test_app_XXXXXX";
    static const char text[] = "checkpoint-folder = /tmp\n";
    int file = mkstemp(path);

    CHECK(write(file, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
    close(file);
    check_refused(WORDS((char *)"--config", path),
                  ":1: no option is called \"checkpoint-folder\"");
    unlink(path);
}

CASE(lists_only_real_options, "the help lists only options that the daemon has")
{
    char text[8192];
    FILE *file = tmpfile();
    size_t count;

    CHECK(file);
    config_help(fileno(file));
    rewind(file);
    count = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[count] = '\0';
    CHECK(strstr(text, "--data-dir DIR "));
    CHECK(strstr(text, "--checkpoint-root DIR "));
}

CASE(app_moves, "a daemon starts, serves, drains and closes, or fails to start")
{
    check_moves(&app_states, "starting>serving starting>failed failed>closed "
                             "serving>draining draining>closed");
}

CASE(empty_values, "an option with an empty value is refused, and the message names it")
{
    static char *const words[] = {
        (char *)"--http=",       (char *)"--data-dir=",
        (char *)"--token-file=", (char *)"--tls-cert=",
        (char *)"--tls-key=",    (char *)"--tls-client-ca=",
        (char *)"--http-host=",  (char *)"--isa=",
        (char *)"--http-tls=",   (char *)"--checkpoint-root=",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char said[64];

        snprintf(said, sizeof(said), "%.*s: is empty; give ", (int)strlen(words[i]) - 1,
                 words[i]);
        check_refused(WORDS(words[i]), said);
    }
}
