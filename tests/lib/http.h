/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a raw socket, for tests: what is sent is exactly what the test says,
 * and what comes back is kept whole. */
#ifndef TESTS_HTTP_H
#define TESTS_HTTP_H

#include <stddef.h>

enum { HTTP_SECONDS_MAX = 20 };

struct http_reply {
    int status;
    char *head; /* status line and headers */
    char *body;
    size_t body_bytes;
};

/* Connects to "127.0.0.1:port" and gives the socket; fails the case where it
 * cannot. */
int http_connect(const char *address);

/* Sends `request` (whole, with its empty line) on a connection of its own that
 * the server is asked to close, and reads to the end. */
void http_send(struct http_reply *reply, const char *address, const char *request);

/* The same on a connection that is there, and closes it. Where no reply comes,
 * status is 0 and the texts are empty. */
void http_exchange(struct http_reply *reply, int fd, const char *request);

/* GET of a path, with "Host: 127.0.0.1" and `headers` ("Name: value\r\n"...). */
void http_get(struct http_reply *reply, const char *address, const char *path,
              const char *headers);

void http_free(struct http_reply *reply);

#endif
