/* SPDX-License-Identifier: Apache-2.0 */
/* One thread polls a listening socket, a pipe that says stop, and the
 * connections. A request meets its act when its headers are complete; what the
 * act does then, and at the request's first byte and end, is in obey(). */
#include "tests/lib/fake_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"

enum {
    CONNS_MAX = 80,
    STREAMS_MAX = 4, /* at a time on one connection */
    WINDOW_BYTES = 1 << 20,
    FRAME_BYTES = 256 << 10,
    AWAIT_SECONDS_MAX = 20,
};

/* All of it is preallocated: the tests make memory fail, for the client only. */
struct stream {
    bool used;
    struct conn *conn;
    const struct fake_act *act;
    size_t number; /* of the request; FAKE_REQUESTS_MAX: not recorded */
    int32_t id;
    size_t sent;
    bool answered, complete;
};

struct conn {
    struct fake_server *server; /* NULL: not in use */
    int fd, number;
    nghttp2_session *session;
    struct stream streams[STREAMS_MAX];
    const uint8_t *out; /* from mem_send, not yet written */
    size_t out_bytes;
    size_t write_bytes_max;
    bool deaf, hang_up, close_when_written, mute;
};

struct fake_server {
    const struct fake_act *acts;
    size_t act_count;
    char address[32];
    int listener, stop[2];
    pthread_t thread;
    struct conn conns[CONNS_MAX];
    nghttp2_session_callbacks *callbacks;

    pthread_mutex_t lock; /* guards what tests may ask */
    pthread_cond_t changed;
    int accepted;
    size_t requests;
    struct fake_request seen[FAKE_REQUESTS_MAX];
};

/* ---- answering ------------------------------------------------------------------- */

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                        strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static size_t trailers(const struct fake_act *act, nghttp2_nv nv[4])
{
    size_t count = 0;

    nv[count++] = pair("grpc-status", act->status ? act->status : "0");
    if (act->message)
        nv[count++] = pair("grpc-message", act->message);
    if (act->details)
        nv[count++] = pair("grpc-status-details-bin", act->details);
    if (act->pushback)
        nv[count++] = pair("grpc-retry-pushback-ms", act->pushback);
    return count;
}

static bool wants_trailers(const struct fake_act *act)
{
    return act->deed != FAKE_PAGE && act->deed != FAKE_NO_TRAILERS;
}

static void after_answer(struct stream *stream)
{
    if (stream->act->hang_up_after)
        stream->conn->close_when_written = true;
    if (stream->act->deed == FAKE_ANSWER_DUPLEX)
        stream->conn->deaf = false;
}

static ssize_t body_cb(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *stream = source->ptr;
    const struct fake_act *act = stream->act;
    size_t left = act->body_bytes - stream->sent;
    nghttp2_nv nv[4];

    (void)user;
    if (act->cut_at && stream->sent == act->cut_at) {
        stream->conn->close_when_written = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (act->cut_at)
        left = act->cut_at - stream->sent;
    if (left > 0) {
        length = left < length ? left : length;
        memcpy(buf, act->body + stream->sent, length);
        stream->sent += length;
        return (ssize_t)length;
    }
    if (act->deed == FAKE_ANSWER_DUPLEX && !stream->complete) {
        stream->conn->deaf = false;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (wants_trailers(act)) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, nv, trailers(act, nv));
    }
    after_answer(stream);
    return 0;
}

static void respond(struct stream *stream)
{
    const struct fake_act *act = stream->act;
    nghttp2_data_provider body = {.source.ptr = stream, .read_callback = body_cb};
    char status[16];
    nghttp2_nv nv[3];

    stream->answered = true;
    snprintf(status, sizeof(status), "%d", act->http_status ? act->http_status : 200);
    nv[0] = pair(":status", status);
    nv[1] =
        pair("content-type", act->deed == FAKE_PAGE ? "text/html" : "application/grpc");
    nv[2] = pair("trit-cursor", act->cursor ? act->cursor : "");
    nghttp2_submit_response(stream->conn->session, stream->id, nv, act->cursor ? 3 : 2,
                            &body);
}

static void respond_trailers_only(struct stream *stream)
{
    nghttp2_nv nv[6];

    stream->answered = true;
    nv[0] = pair(":status", "200");
    nv[1] = pair("content-type", "application/grpc");
    nghttp2_submit_response(stream->conn->session, stream->id, nv,
                            2 + trailers(stream->act, nv + 2), NULL);
    after_answer(stream);
}

enum moment { AT_HEADERS, AT_DATA, AT_END };

static void obey(struct stream *stream, enum moment moment)
{
    struct conn *conn = stream->conn;

    if (stream->answered)
        return;
    switch (stream->act->deed) {
    case FAKE_ANSWER:
    case FAKE_PAGE:
    case FAKE_NO_TRAILERS:
        if (moment == AT_END)
            respond(stream);
        break;
    case FAKE_ANSWER_DUPLEX:
        conn->deaf = true;
        respond(stream);
        break;
    case FAKE_ANSWER_EARLY:
        if (moment == AT_DATA)
            respond(stream);
        break;
    case FAKE_FAIL:
        if (moment == AT_END)
            respond_trailers_only(stream);
        break;
    case FAKE_RESET:
        stream->answered = true;
        nghttp2_submit_rst_stream(conn->session, 0, stream->id, stream->act->code);
        break;
    case FAKE_GOAWAY:
        stream->answered = true;
        nghttp2_submit_goaway(conn->session, 0, stream->id - 2 > 0 ? stream->id - 2 : 0,
                              NGHTTP2_NO_ERROR, NULL, 0);
        break;
    case FAKE_HANGUP:
        conn->hang_up = true;
        break;
    case FAKE_STALL:
        break;
    case FAKE_STALL_DEAF:
        conn->deaf = true;
        break;
    }
}

/* ---- what the client said ---------------------------------------------------------- */

static struct fake_request *record(struct stream *stream)
{
    struct fake_server *server = stream->conn->server;

    return stream->number < FAKE_REQUESTS_MAX ? &server->seen[stream->number] : NULL;
}

static int begin_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct conn *conn = user;
    struct fake_server *server = conn->server;
    struct stream *stream;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream = conn->streams;
    while (stream->used)
        if (++stream == conn->streams + STREAMS_MAX)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *stream = (struct stream){.used = true, .conn = conn, .id = frame->hd.stream_id};
    nghttp2_session_set_stream_user_data(session, stream->id, stream);

    pthread_mutex_lock(&server->lock);
    stream->number = server->requests++;
    stream->act =
        &server->acts[stream->number < server->act_count ? stream->number
                                                         : server->act_count - 1];
    if (record(stream))
        record(stream)->connection = conn->number;
    pthread_mutex_unlock(&server->lock);
    conn->write_bytes_max = stream->act->write_bytes_max;
    return 0;
}

static int header_cb(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user)
{
    struct conn *conn = user;
    struct stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct fake_request *seen = stream ? record(stream) : NULL;
    const char *key = (const char *)name, *text = (const char *)value;

    (void)name_len, (void)value_len, (void)flags;
    if (!seen)
        return 0;
    pthread_mutex_lock(&conn->server->lock);
    if (strcmp(key, ":path") == 0)
        snprintf(seen->path, sizeof(seen->path), "%s", text);
    else if (strcmp(key, ":authority") == 0)
        snprintf(seen->authority, sizeof(seen->authority), "%s", text);
    else if (strcmp(key, "te") == 0)
        snprintf(seen->te, sizeof(seen->te), "%s", text);
    else if (strcmp(key, "content-type") == 0)
        snprintf(seen->content_type, sizeof(seen->content_type), "%s", text);
    else if (strcmp(key, "grpc-timeout") == 0)
        snprintf(seen->timeout, sizeof(seen->timeout), "%s", text);
    else if (strcmp(key, "grpc-previous-rpc-attempts") == 0)
        snprintf(seen->previous_attempts, sizeof(seen->previous_attempts), "%s", text);
    pthread_mutex_unlock(&conn->server->lock);
    return 0;
}

static int data_cb(nghttp2_session *session, uint8_t flags, int32_t id,
                   const uint8_t *bytes, size_t count, void *user)
{
    struct conn *conn = user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    struct fake_request *seen = stream ? record(stream) : NULL;

    (void)flags;
    if (seen) {
        pthread_mutex_lock(&conn->server->lock);
        if (seen->body_bytes < sizeof(seen->body)) {
            size_t left = sizeof(seen->body) - (size_t)seen->body_bytes;

            memcpy(seen->body + seen->body_bytes, bytes, count < left ? count : left);
        }
        seen->body_bytes += count;
        pthread_mutex_unlock(&conn->server->lock);
    }
    if (stream)
        obey(stream, AT_DATA);
    return 0;
}

static void note_reset(struct stream *stream, uint32_t code)
{
    struct fake_server *server = stream->conn->server;
    struct fake_request *seen = record(stream);

    if (!seen)
        return;
    pthread_mutex_lock(&server->lock);
    seen->was_reset = true;
    seen->reset_code = code;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static int frame_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct conn *conn = user;
    struct stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (!stream)
        return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        note_reset(stream, frame->rst_stream.error_code);
    if (frame->hd.type == NGHTTP2_HEADERS)
        obey(stream, AT_HEADERS);
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        stream->complete = true;
        if (record(stream)) {
            pthread_mutex_lock(&conn->server->lock);
            record(stream)->complete = true;
            pthread_mutex_unlock(&conn->server->lock);
        }
        nghttp2_session_resume_data(session, stream->id);
        obey(stream, AT_END);
    }
    return 0;
}

/* Only once the trailers are out: nghttp2 would send the reset first. */
static int sent_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)user;
    if (stream && stream->act->deed == FAKE_ANSWER_EARLY && !stream->complete &&
        frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        nghttp2_submit_rst_stream(session, 0, stream->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int closed_cb(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

    (void)code, (void)user;
    if (stream)
        stream->used = false;
    return 0;
}

/* ---- connections ------------------------------------------------------------------- */

static void conn_close(struct conn *conn)
{
    nghttp2_session_del(conn->session);
    close(conn->fd);
    conn->server = NULL;
}

static void accept_conn(struct fake_server *server)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
    };
    const int send_bytes = 64 << 10;
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn = server->conns;

    if (fd < 0)
        return;
    while (conn->server)
        if (++conn == server->conns + CONNS_MAX) {
            close(fd);
            return;
        }
    /* Small, so that what a test sends does not just vanish in buffers. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    *conn = (struct conn){.server = server, .fd = fd};
    pthread_mutex_lock(&server->lock);
    conn->number = server->accepted++;
    pthread_mutex_unlock(&server->lock);
    nghttp2_session_server_new(&conn->session, server->callbacks, conn);
    nghttp2_submit_settings(conn->session, 0, settings, 2);
}

/* False: the connection is over. */
static bool conn_read(struct conn *conn)
{
    uint8_t bytes[65536];
    ssize_t got = recv(conn->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    return got > 0 && nghttp2_session_mem_recv(conn->session, bytes, (size_t)got) >= 0;
}

static bool conn_write(struct conn *conn)
{
    for (;;) {
        size_t count = conn->out_bytes;
        ssize_t sent;

        if (count == 0) {
            sent = nghttp2_session_mem_send(conn->session, &conn->out);
            if (sent < 0)
                return false;
            if (sent == 0) {
                /* Half a close: a full one could make the client's kernel throw
                 * away what it has not read yet. */
                if (conn->close_when_written)
                    conn->mute = shutdown(conn->fd, SHUT_WR) == 0;
                return true;
            }
            count = conn->out_bytes = (size_t)sent;
        }
        if (conn->write_bytes_max && count > conn->write_bytes_max)
            count = conn->write_bytes_max;
        sent = send(conn->fd, conn->out, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        conn->out += sent;
        conn->out_bytes -= (size_t)sent;
        if (conn->write_bytes_max)
            return true; /* the rest at the next turn */
    }
}

static void conn_turn(struct conn *conn, short events)
{
    bool alive = true;

    if ((events & (POLLIN | POLLHUP)) && !conn->deaf)
        alive = conn_read(conn);
    if (alive && !conn->hang_up && !conn->mute)
        alive = conn_write(conn);
    if (!alive || conn->hang_up)
        conn_close(conn);
}

static short conn_events(const struct conn *conn)
{
    bool writes =
        !conn->mute && (conn->out_bytes > 0 || nghttp2_session_want_write(conn->session));

    return (short)((conn->deaf ? 0 : POLLIN) | (writes ? POLLOUT : 0));
}

static void *serve(void *arg)
{
    struct fake_server *server = arg;

    for (;;) {
        struct pollfd waits[CONNS_MAX + 2] = {{server->stop[0], POLLIN, 0},
                                              {server->listener, POLLIN, 0}};
        struct conn *polled[CONNS_MAX];
        nfds_t count = 2;

        for (size_t i = 0; i < CONNS_MAX; i++)
            if (server->conns[i].server) {
                polled[count - 2] = &server->conns[i];
                waits[count++] = (struct pollfd){server->conns[i].fd,
                                                 conn_events(&server->conns[i]), 0};
            }
        poll(waits, count, -1);
        if (waits[0].revents)
            break;
        for (nfds_t i = 2; i < count; i++)
            if (waits[i].revents)
                conn_turn(polled[i - 2], waits[i].revents);
        if (waits[1].revents)
            accept_conn(server);
    }
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (server->conns[i].server)
            conn_close(&server->conns[i]);
    return NULL;
}

/* ---- the test's side --------------------------------------------------------------- */

/* `port` 0: a free one. */
static void listen_on_loopback(struct fake_server *server, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    const int on = 1;

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(server->listener >= 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(server->listener, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(listen(server->listener, CONNS_MAX) == 0);
    CHECK(getsockname(server->listener, (struct sockaddr *)&name, &size) == 0);
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%d",
             ntohs(name.sin_port));
}

static struct fake_server *start(int port, const struct fake_act *acts, size_t count)
{
    struct fake_server *server = calloc(1, sizeof(*server));

    CHECK(server);
    server->acts = acts;
    server->act_count = count;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    listen_on_loopback(server, port);
    CHECK(pipe2(server->stop, O_CLOEXEC) == 0);
    CHECK(nghttp2_session_callbacks_new(&server->callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(server->callbacks, begin_cb);
    nghttp2_session_callbacks_set_on_header_callback(server->callbacks, header_cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(server->callbacks, data_cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(server->callbacks, frame_cb);
    nghttp2_session_callbacks_set_on_frame_send_callback(server->callbacks, sent_cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(server->callbacks, closed_cb);
    CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
    return server;
}

struct fake_server *fake_start(const struct fake_act *acts, size_t count)
{
    return start(0, acts, count);
}

struct fake_server *fake_start_at(const char *address, const struct fake_act *acts,
                                  size_t count)
{
    const char *colon = strrchr(address, ':');

    CHECK(colon);
    return start(atoi(colon + 1), acts, count);
}

void fake_stop(struct fake_server *server)
{
    CHECK(write(server->stop[1], "", 1) == 1);
    pthread_join(server->thread, NULL);
    nghttp2_session_callbacks_del(server->callbacks);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->listener);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *fake_address(const struct fake_server *server)
{
    return server->address;
}

bool fake_request(struct fake_server *server, size_t n, struct fake_request *request)
{
    bool known;

    pthread_mutex_lock(&server->lock);
    known = n < server->requests && n < FAKE_REQUESTS_MAX;
    if (known)
        *request = server->seen[n];
    pthread_mutex_unlock(&server->lock);
    return known;
}

bool fake_await_reset(struct fake_server *server, size_t n, struct fake_request *request)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AWAIT_SECONDS_MAX;
    pthread_mutex_lock(&server->lock);
    while (!server->seen[n].was_reset && rc == 0)
        rc = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    *request = server->seen[n];
    pthread_mutex_unlock(&server->lock);
    return request->was_reset;
}

int fake_connections(struct fake_server *server)
{
    int accepted;

    pthread_mutex_lock(&server->lock);
    accepted = server->accepted;
    pthread_mutex_unlock(&server->lock);
    return accepted;
}
