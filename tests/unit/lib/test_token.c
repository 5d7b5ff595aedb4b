/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trit.h>

#include "client/lib/token.h"
#include "tests/lib/check.h"

struct file {
    char path[64];
};

static void put(const struct file *file, const char *text)
{
    char fresh[80];
    FILE *stream;

    snprintf(fresh, sizeof(fresh), "%s.new", file->path);
    stream = fopen(fresh, "w");
    CHECK(stream && fputs(text, stream) >= 0 && fclose(stream) == 0);
    CHECK(rename(fresh, file->path) == 0);
}

static void file_open(struct file *file, const char *text)
{
    strcpy(file->path, "/tmp/test_token_XXXXXX");
    close(mkstemp(file->path));
    put(file, text);
    unsetenv("TRIT_TOKEN");
    unsetenv("TRIT_TOKEN_FILE");
}

static void check_value(struct token *token, const char *wanted)
{
    char value[AUTHORIZATION_BYTES];

    token_authorization(token, value);
    CHECK_STR(value, wanted);
}

/* The text is refused, and the message does not repeat it. */
static void check_refused(const char *text, const char *path, const char *words)
{
    struct failure failure = {.status = TRIT_OK};
    struct token token;

    CHECK(token_init(&token, text, path, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, words) || strstr(failure.message, "open sesame"))
        check_failed(__FILE__, __LINE__, "\"%s\" should say \"%s\"", failure.message,
                     words);
}

CASE(given, "a token is a text, the content of a file, or of the environment")
{
    struct failure failure = {.status = TRIT_OK};
    struct token token;
    struct file file;

    file_open(&file, "from-file\r\n");
    CHECK(token_init(&token, NULL, NULL, &failure) == 0);
    check_value(&token, "");
    token_fini(&token);
    CHECK(token_init(&token, "given", NULL, &failure) == 0);
    check_value(&token, "Bearer given");
    token_fini(&token);
    CHECK(token_init(&token, NULL, file.path, &failure) == 0);
    check_value(&token, "Bearer from-file");
    token_fini(&token);

    setenv("TRIT_TOKEN_FILE", file.path, 1);
    CHECK(token_init(&token, NULL, NULL, &failure) == 0);
    check_value(&token, "Bearer from-file");
    token_fini(&token);
    setenv("TRIT_TOKEN", "from-environment", 1);
    CHECK(token_init(&token, NULL, NULL, &failure) == 0);
    check_value(&token, "Bearer from-environment");
    token_fini(&token);
    CHECK(token_init(&token, "given", NULL, &failure) == 0); /* options first */
    check_value(&token, "Bearer given");
    token_fini(&token);
    unsetenv("TRIT_TOKEN");
    unsetenv("TRIT_TOKEN_FILE");
    unlink(file.path);
}

CASE(changes, "a file is read again when it changes; a bad one leaves the token")
{
    struct failure failure = {.status = TRIT_OK};
    struct token token;
    struct file file;

    file_open(&file, "first");
    CHECK(token_init(&token, NULL, file.path, &failure) == 0);
    for (int i = 0; i < 20; i++) {
        char text[32], wanted[48];

        snprintf(text, sizeof(text), "token-%d\n", i);
        snprintf(wanted, sizeof(wanted), "Bearer token-%d", i);
        put(&file, text);
        check_value(&token, wanted);
    }
    put(&file, "");
    check_value(&token, "Bearer token-19");
    unlink(file.path);
    check_value(&token, "Bearer token-19");
    put(&file, "back");
    check_value(&token, "Bearer back");
    token_fini(&token);
    unlink(file.path);
}

CASE(refused, "what is no token is refused, and never repeated")
{
    char longest[TOKEN_BYTES_MAX + 2];
    struct failure failure = {.status = TRIT_OK};
    struct token token;
    struct file file;

    file_open(&file, "open sesame\n");
    check_refused("open sesame", NULL, "token does not hold a token");
    check_refused("", NULL, "does not hold a token");
    check_refused("a\nb", NULL, "does not hold a token");
    check_refused("\xc3\xa9", NULL, "does not hold a token");
    check_refused("a", "b", "either a token or a token_file");
    check_refused(NULL, "/no/such/file", "/no/such/file: No such file");
    check_refused(NULL, "/tmp", "/tmp: ");
    check_refused(NULL, file.path, file.path);
    put(&file, "two\nlines\n");
    check_refused(NULL, file.path, "in one line");
    setenv("TRIT_TOKEN", "open sesame", 1);
    check_refused(NULL, NULL, "TRIT_TOKEN");
    unsetenv("TRIT_TOKEN");

    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    check_refused(longest, NULL, "1 to 4096");
    put(&file, longest);
    check_refused(NULL, file.path, "1 to 4096");
    longest[TOKEN_BYTES_MAX] = '\0';
    CHECK(token_init(&token, longest, NULL, &failure) == 0);
    token_fini(&token);
    strcpy(longest + TOKEN_BYTES_MAX - 1, "\n");
    put(&file, longest);
    CHECK(token_init(&token, NULL, file.path, &failure) == 0);
    token_fini(&token);
    unlink(file.path);
}

CASE(options, "trit_connect takes a token or a token file, and says what is wrong")
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client = NULL;

    options.token = "x";
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    trit_close(client);
    options.token_file = "/no/such/file";
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "either"));
    options.token = NULL;
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "/no/such/file"));
    CHECK_STR(error.field, "token_file");
}
