/* SPDX-License-Identifier: Apache-2.0 */
#include "app/notify.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    int fd;

    if (length == 0 || length >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}

/* ---- a start that takes long -------------------------------------------------------- */

enum { EXTEND_SECONDS = 10, EXTENSIONS_MAX = 360 };

static const char extension_text[] = "EXTEND_TIMEOUT_USEC=30000000";

static void *extend(void *arg)
{
    struct notify_extension *extension = arg;
    struct timespec until;

    pthread_mutex_lock(&extension->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    for (int i = 0; i < EXTENSIONS_MAX && !extension->over; i++) {
        int waited = 0;

        until.tv_sec += EXTEND_SECONDS;
        while (!extension->over && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&extension->ended, &extension->lock, &until);
        if (!extension->over)
            notify(extension_text);
    }
    pthread_mutex_unlock(&extension->lock);
    return NULL;
}

void notify_extension_begin(struct notify_extension *extension)
{
    pthread_condattr_t attributes;
    sigset_t all, before;

    *extension = (struct notify_extension){.runs = false};
    if (!getenv("NOTIFY_SOCKET"))
        return;
    notify(extension_text);
    pthread_mutex_init(&extension->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&extension->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* only the loop's thread handles signals */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    extension->runs = pthread_create(&extension->thread, NULL, extend, extension) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void notify_extension_end(struct notify_extension *extension)
{
    if (!extension->runs)
        return;
    pthread_mutex_lock(&extension->lock);
    extension->over = true;
    pthread_cond_signal(&extension->ended);
    pthread_mutex_unlock(&extension->lock);
    pthread_join(extension->thread, NULL);
    pthread_cond_destroy(&extension->ended);
    pthread_mutex_destroy(&extension->lock);
    extension->runs = false;
}
