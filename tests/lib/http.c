/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/lib/check.h"

int http_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct timeval timeout = {.tv_sec = HTTP_SECONDS_MAX};
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && colon);
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

/* All that comes until the server closes; NUL-terminated. */
static char *read_all(int fd, size_t *bytes)
{
    size_t capacity = 1 << 16;
    char *all = malloc(capacity);
    ssize_t got;

    CHECK(all);
    *bytes = 0;
    while ((got = recv(fd, all + *bytes, capacity - *bytes - 1, 0)) > 0) {
        *bytes += (size_t)got;
        if (capacity - *bytes < 4096) {
            capacity *= 2;
            all = realloc(all, capacity);
            CHECK(all);
        }
    }
    all[*bytes] = '\0';
    return all;
}

void http_exchange(struct http_reply *reply, int fd, const char *request)
{
    size_t bytes, length = strlen(request);
    char *all, *end;

    CHECK(send(fd, request, length, MSG_NOSIGNAL) == (ssize_t)length);
    all = read_all(fd, &bytes);
    close(fd);
    *reply = (struct http_reply){.head = all, .body = all + bytes};
    end = strstr(all, "\r\n\r\n");
    if (!end || sscanf(all, "HTTP/1.%*d %d", &reply->status) != 1)
        return;
    *end = '\0';
    reply->body = end + 4;
    reply->body_bytes = bytes - (size_t)(reply->body - all);
}

void http_send(struct http_reply *reply, const char *address, const char *request)
{
    http_exchange(reply, http_connect(address), request);
    if (reply->status == 0)
        check_failed(__FILE__, __LINE__, "no HTTP reply to: %.100s", request);
}

void http_get(struct http_reply *reply, const char *address, const char *path,
              const char *headers)
{
    char request[8192];
    int length = snprintf(request, sizeof(request),
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                          "%s\r\n",
                          path, headers ? headers : "");

    CHECK(length > 0 && (size_t)length < sizeof(request));
    http_send(reply, address, request);
}

void http_free(struct http_reply *reply)
{
    free(reply->head);
    *reply = (struct http_reply){0};
}
