/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Visible ASCII, as a header's value must be. */
static bool is_token(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0 && length <= TOKEN_BYTES_MAX;
}

static int set_text(struct token *token, const char *source, const char *text,
                    struct failure *failure)
{
    if (!is_token(text))
        return fail(failure, TRIT_INVALID_ARGUMENT, "token",
                    "%.300s does not hold a token: 1 to %d visible ASCII characters in "
                    "one line",
                    source, TOKEN_BYTES_MAX);
    strcpy(token->text, text);
    return 0;
}

static ssize_t read_file(const char *path, char *text, size_t bytes, struct stat *about)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = -1;

    if (file < 0)
        return -1;
    if (fstat(file, about) == 0)
        count = read(file, text, bytes - 1);
    close(file);
    if (count >= 0)
        text[count] = '\0';
    return count;
}

/* Reads the file, whose last line may end in a newline. */
static int load(struct token *token, struct failure *failure)
{
    char text[TOKEN_BYTES_MAX + 3]; /* one byte more than a token, CRLF and NUL */
    struct stat about;
    ssize_t count = read_file(token->path, text, sizeof(text), &about);

    if (count < 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "token_file", "%.300s: %s",
                          token->path, strerror(errno));
    while (count > 0 && (text[count - 1] == '\n' || text[count - 1] == '\r'))
        text[--count] = '\0';
    if (set_text(token, token->path, text, failure) < 0)
        return -1;
    token->changed = about.st_ctim;
    token->size = about.st_size;
    token->inode = about.st_ino;
    return 0;
}

static bool has_changed(const struct token *token)
{
    struct stat about;

    return stat(token->path, &about) == 0 &&
           (about.st_ctim.tv_sec != token->changed.tv_sec ||
            about.st_ctim.tv_nsec != token->changed.tv_nsec ||
            about.st_size != token->size || about.st_ino != token->inode);
}

static int take_options(struct token *token, const char *text, const char *path,
                        struct failure *failure)
{
    const char *source = "token";

    if (text && path)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "token",
                          "give either a token or a token_file");
    if (!text && !path) {
        source = "TRIT_TOKEN";
        text = getenv("TRIT_TOKEN");
        text = text && *text ? text : NULL;
        path = getenv("TRIT_TOKEN_FILE");
    }
    if (text)
        return set_text(token, source, text, failure);
    if (!path || !*path)
        return 0;
    token->path = strdup(path);
    if (!token->path)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a client");
    return load(token, failure);
}

int token_init(struct token *token, const char *text, const char *path,
               struct failure *failure)
{
    *token = (struct token){.path = NULL};
    if (pthread_mutex_init(&token->lock, NULL) != 0)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of resources for a client");
    if (take_options(token, text, path, failure) == 0)
        return 0;
    token_fini(token);
    return -1;
}

void token_fini(struct token *token)
{
    pthread_mutex_destroy(&token->lock);
    free(token->path);
    explicit_bzero(token->text, sizeof(token->text));
}

void token_authorization(struct token *token, char value[AUTHORIZATION_BYTES])
{
    pthread_mutex_lock(&token->lock);
    if (token->path && has_changed(token))
        load(token, NULL);
    snprintf(value, AUTHORIZATION_BYTES, "%s%s", token->text[0] ? "Bearer " : "",
             token->text);
    pthread_mutex_unlock(&token->lock);
}
