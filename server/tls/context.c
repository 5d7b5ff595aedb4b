/* SPDX-License-Identifier: Apache-2.0 */
/* A context: the paths, and what the last good reading of them gave. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tls/impl.h"

static bool copy_path(char **copy, const char *path)
{
    *copy = path ? strdup(path) : NULL;
    return !path || *copy;
}

static void free_paths(struct tls_context *context)
{
    free(context->cert);
    free(context->key);
    free(context->trust);
    free(context);
}

int tls_context_create(struct tls_context **out, enum tls_role role,
                       const struct tls_options *options, struct failure *failure)
{
    struct tls_context *context = calloc(1, sizeof(*context));

    if (!context)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for TLS");
    context->role = role;
    if (!copy_path(&context->cert, options->cert) ||
        !copy_path(&context->key, options->key) ||
        !copy_path(&context->trust, options->trust)) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for TLS");
        goto free_context;
    }
    context->current = tls_credentials_read(context, failure);
    if (!context->current)
        goto free_context;
    if (pthread_mutex_init(&context->lock, NULL) != 0) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for TLS");
        goto release;
    }
    *out = context;
    return 0;

release:
    tls_credentials_release(context->current);
free_context:
    free_paths(context);
    return -1;
}

/* What is no file may have nothing more to read, and would block the thread for ever. */
static int check_files(const struct tls_context *context, struct failure *failure)
{
    const char *const files[][2] = {
        {"cert", context->cert}, {"key", context->key}, {"trust", context->trust}};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct stat status;

        if (files[i][1] && stat(files[i][1], &status) == 0 && !S_ISREG(status.st_mode))
            return fail(failure, TRIT_INVALID_ARGUMENT, files[i][0],
                        "%s: not a regular file, so it is not read again", files[i][1]);
    }
    return 0;
}

/* An expired certificate does not take the place of one that is valid. */
static int check_expiry(const struct tls_context *context,
                        const struct tls_credentials *fresh, struct failure *failure)
{
    const uint64_t now = (uint64_t)time(NULL);

    if (!context->cert || fresh->expires > now || context->current->expires <= now)
        return 0;
    return fail(failure, TRIT_INVALID_ARGUMENT, "cert",
                "%s: has expired, and the one in use has not", context->cert);
}

int tls_context_reload(struct tls_context *context, struct failure *failure)
{
    struct tls_credentials *fresh =
        check_files(context, failure) < 0 ? NULL : tls_credentials_read(context, failure);
    struct tls_credentials *old;

    if (!fresh)
        return -1;
    if (check_expiry(context, fresh, failure) < 0) {
        tls_credentials_release(fresh);
        return -1;
    }
    pthread_mutex_lock(&context->lock);
    old = context->current;
    context->current = fresh;
    pthread_mutex_unlock(&context->lock);
    tls_credentials_release(old);
    return 0;
}

struct tls_credentials *tls_context_credentials(struct tls_context *context)
{
    struct tls_credentials *credentials;

    pthread_mutex_lock(&context->lock);
    credentials = context->current;
    atomic_fetch_add(&credentials->users, 1);
    pthread_mutex_unlock(&context->lock);
    return credentials;
}

uint64_t tls_context_expires(struct tls_context *context)
{
    struct tls_credentials *credentials = tls_context_credentials(context);
    uint64_t expires = credentials->expires;

    tls_credentials_release(credentials);
    return expires;
}

void tls_context_destroy(struct tls_context *context)
{
    if (!context)
        return;
    tls_credentials_release(context->current);
    pthread_mutex_destroy(&context->lock);
    free_paths(context);
}
