/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/check.h"
#include "app/config.h"
#include "store/schema.h"
#include "tests/lib/check.h"

/* ---- helpers ---- */

enum { PATH_BYTES = 128 };

static int dry_run(const char *const *words, struct failure *failure)
{
    const char *all[16] = {"tritd", "--http=off", "--listen=127.0.0.1:0", "--insecure"};
    enum config_action action;
    struct config config;
    int count = 4, result;

    while (*words)
        all[count++] = *words++;
    *failure = (struct failure){.status = TRIT_OK};
    CHECK_EQ(config_read(&config, &action, count, (char **)(uintptr_t)all, failure), 0);
    result = config_check(&config, failure);
    config_fini(&config);
    return result;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_passes(const char *const *words)
{
    struct failure failure;

    if (dry_run(words, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void check_refused(const char *const *words, const char *what)
{
    struct failure failure;

    if (dry_run(words, &failure) == 0)
        check_failed(__FILE__, __LINE__, "%s %s passes", words[0], words[1]);
    else if (!strstr(failure.message, what))
        check_failed(__FILE__, __LINE__, "\"%s\" should say \"%s\"", failure.message,
                     what);
}

static void check_data_refused(const char *path, const char *what)
{
    check_refused(WORDS("--data-dir", path), what);
}

static void make_folder(char path[PATH_BYTES])
{
    strcpy(path, "/tmp/tritd-check-XXXXXX");
    CHECK(mkdtemp(path));
}

/* "FOLDER/NAME", in static memory. */
static const char *in(const char *folder, const char *name)
{
    static char path[2 * PATH_BYTES];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, count), count);
    close(fd);
}

/* An SQLite file's header with these two numbers. */
static void write_header(const char *path, uint32_t application, uint32_t version)
{
    uint8_t header[100] = "SQLite format 3";

    for (int i = 0; i < 4; i++) {
        header[60 + i] = (uint8_t)(version >> 8 * (3 - i));
        header[68 + i] = (uint8_t)(application >> 8 * (3 - i));
    }
    write_file(path, header, sizeof(header));
}

static unsigned entries(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2; /* "." and ".." */
}

static int unix_socket(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK(strlen(path) < sizeof(name.sun_path));
    strcpy(name.sun_path, path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    return fd;
}

/* ---- cases ---- */

CASE(no_folder,
     "--check-config refuses a data directory that cannot be created or opened")
{
    char folder[PATH_BYTES];

    make_folder(folder);
    check_data_refused("/proc/x", "/proc/x");
    check_data_refused("/proc", "/proc");
    check_data_refused("/etc/passwd", "Not a directory");
    check_data_refused(in(folder, "a/b"), "No such file");
    CHECK_EQ(symlink("/no/such/place", in(folder, "dangling")), 0);
    check_data_refused(in(folder, "dangling"), "dangling");
    CHECK_EQ(unlink(in(folder, "dangling")), 0);
    check_passes(WORDS("--data-dir", in(folder, "new")));
    CHECK_EQ(entries(folder), 0); /* nothing was left there */
    CHECK_EQ(rmdir(folder), 0);
}

CASE(database, "--check-config refuses a database that a start would refuse")
{
    char folder[PATH_BYTES], database[2 * PATH_BYTES];

    make_folder(folder);
    strcpy(database, in(folder, "reports.sqlite"));
    write_file(database, "garbage", 7);
    check_data_refused(folder, "not a database");
    write_header(database, 7, 0);
    check_data_refused(folder, "another program");
    write_header(database, STORE_APPLICATION_ID, 9999);
    check_data_refused(folder, "schema 9999");
    write_header(database, STORE_APPLICATION_ID, 1); /* the start migrates it */
    check_passes(WORDS("--data-dir", folder));
    write_header(database, 0, 0); /* its numbers are in the log */
    check_passes(WORDS("--data-dir", folder));
    write_file(database, "", 0);
    check_passes(WORDS("--data-dir", folder));
    CHECK_EQ(entries(folder), 1);
    CHECK_EQ(unlink(database), 0);
    CHECK_EQ(mkdir(database, 0700), 0);
    check_data_refused(folder, "reports.sqlite: Is a directory");
    CHECK_EQ(rmdir(database), 0);
    CHECK_EQ(symlink("/etc/passwd", in(folder, "tritd.lock")), 0);
    check_data_refused(folder, "tritd.lock");
    CHECK_EQ(unlink(in(folder, "tritd.lock")), 0);
    write_file(in(folder, "layers"), "", 0);
    check_data_refused(folder, "layers: Not a directory");
    CHECK_EQ(unlink(in(folder, "layers")), 0);
    CHECK_EQ(rmdir(folder), 0);
}

CASE(unix_sockets,
     "--check-config refuses a Unix socket where another file is in the way")
{
    char folder[PATH_BYTES], text[2 * PATH_BYTES];
    int fd;

    make_folder(folder);
    write_file(in(folder, "file"), "", 0);
    snprintf(text, sizeof(text), "unix:%s/file", folder);
    check_refused(WORDS("--listen", text), "not a socket");
    check_refused(WORDS("--listen", "unix:/proc/socket"), "/proc/socket");
    CHECK_EQ(unlink(in(folder, "file")), 0);
    snprintf(text, sizeof(text), "unix:%s/s", folder);
    check_passes(WORDS("--listen", text));
    fd = unix_socket(in(folder, "s")); /* of the daemon that will be restarted */
    check_passes(WORDS("--listen", text));
    close(fd);
    CHECK_EQ(entries(folder), 1);
    CHECK_EQ(unlink(in(folder, "s")), 0);
    CHECK_EQ(rmdir(folder), 0);
}

CASE(twice, "--check-config refuses two addresses that one process cannot have")
{
    char folder[PATH_BYTES], a[2 * PATH_BYTES], b[2 * PATH_BYTES];
    const struct {
        const char *a, *b;
        bool passes;
    } rows[] = {
        {"127.0.0.1:29561", "127.0.0.1:29561", false},
        {"127.0.0.1:29561", "localhost:29561", false},
        {"127.0.0.1:29561", "0.0.0.0:29561", false},
        {"*:29561", "127.0.0.1:29561", false},
        {a, a, false},
        {"127.0.0.1:29561", "127.0.0.1:29562", true},
        {"127.0.0.1:29561", "127.0.0.2:29561", true},
        {"127.0.0.1:0", "127.0.0.1:0", true},
        {a, b, true},
        {a, "127.0.0.1:29561", true},
    };

    make_folder(folder);
    snprintf(a, sizeof(a), "unix:%s/a", folder);
    snprintf(b, sizeof(b), "unix:%s/b", folder);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].passes)
            check_passes(WORDS("--listen", rows[i].a, "--listen", rows[i].b));
        else
            check_refused(WORDS("--listen", rows[i].a, "--listen", rows[i].b),
                          "cannot listen on both");
    check_refused(WORDS("--listen", "127.0.0.1:29561", "--http", "127.0.0.1:29561"),
                  "cannot listen on both");
    CHECK_EQ(rmdir(folder), 0);
}

CASE(http, "--check-config refuses an HTTP address that is not host:port")
{
    check_refused(WORDS("--http", "unix:/tmp/http"), "not host:port");
    check_refused(WORDS("--http", "systemd"), "not host:port");
    check_passes(WORDS("--http", "127.0.0.1:0"));
}

CASE(malformed_address, "an address without a port is malformed, whoever can reach it")
{
    const char *const listen[] = {"tritd", "--listen=tritd.example"};
    const char *const http[] = {"tritd", "--http=0.0.0.0"};
    const char *const *const all[] = {listen, http};
    enum config_action action;
    struct config config;

    for (size_t i = 0; i < 2; i++) {
        struct failure failure = {.status = TRIT_OK};

        CHECK_EQ(config_read(&config, &action, 2, (char **)(uintptr_t)all[i], &failure),
                 -1);
        CHECK(strstr(failure.message, "\" is not host:port, [v6]:port or unix:/path"));
    }
}

CASE(host_names, "--check-config refuses a host name that no request can have")
{
    check_refused(WORDS("--http-host", "https://tritd.example"),
                  "http-host: \"https://tritd.example\" is not a host name");
}
