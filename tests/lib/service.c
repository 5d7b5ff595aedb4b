#include "tests/lib/service.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "async/loop.h"
#include "base/budget.h"
#include "h2/session.h"
#include "kernels/kernels.h"
#include "layers/layers.h"
#include "obs/metrics.h"
#include "proto/framing.h"
#include "rpc/rpc.h"
#include "store/store.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "work/blocks.h"
#include "work/pool.h"

enum { EXCHANGES_MAX = 64, METHODS_MAX = 64, ROUNDS_MAX = 1 << 20 };

struct service {
    struct service_options options;
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct timers *timers;
    struct budget budget;
    struct blocks *blocks;
    struct pool *pool;
    struct metrics *metrics;
    struct store *store;
    struct layers *layers;
    struct store_reader *reader;
    struct rpc *rpc;
    struct h2_session *server;
    nghttp2_session *client;
    struct exchange *exchanges[EXCHANGES_MAX];
    bool broken; /* the connection is beyond repair, as under failing memory */
    const char *methods[METHODS_MAX];
};

struct service_options service_defaults(void)
{
    return (struct service_options){
        .isa = "auto", .threads = 2, .limits = limits_default()};
}

/* ---- the client's session ------------------------------------------------------- */

static struct exchange *exchange_of(struct service *service, int32_t id)
{
    for (size_t i = 0; i < EXCHANGES_MAX; i++)
        if (service->exchanges[i] && service->exchanges[i]->id == id)
            return service->exchanges[i];
    return NULL;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags, void *user)
{
    struct exchange *exchange = exchange_of(user, frame->hd.stream_id);
    char text[2048] = "";

    (void)ng, (void)flags;
    if (!exchange || value_len >= sizeof(text))
        return 0;
    memcpy(text, value, value_len);
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        memcpy(exchange->http, text, 4);
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        exchange->status = atoi(text);
    if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0)
        message_unescape(text, exchange->message, sizeof(exchange->message));
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t count, void *user)
{
    struct exchange *exchange = exchange_of(user, id);
    uint8_t *grown;

    (void)ng, (void)flags;
    if (!exchange)
        return 0;
    grown = realloc(exchange->body, exchange->body_count + count);
    if (!grown)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    exchange->body = grown;
    memcpy(exchange->body + exchange->body_count, bytes, count);
    exchange->body_count += count;
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct exchange *exchange = exchange_of(user, id);

    (void)ng, (void)code;
    if (exchange)
        exchange->closed = true;
    return 0;
}

static ssize_t upload(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t bytes_max,
                      uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct exchange *exchange = exchange_of(user, id);
    size_t part = bytes_max;

    (void)ng, (void)source;
    part = exchange->cut && exchange->cut < part ? exchange->cut : part;
    part = exchange->left < part ? exchange->left : part;
    if (part == 0 && exchange->keep_open)
        return NGHTTP2_ERR_DEFERRED;
    if (part > 0)
        memcpy(buffer, exchange->bytes, part);
    exchange->bytes += part;
    exchange->left -= part;
    if (exchange->left == 0 && !exchange->keep_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

static nghttp2_session *client_create(struct service *service)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client;

    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    CHECK(nghttp2_session_client_new(&client, callbacks, service) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
    return client;
}

/* ---- bytes between the two ----------------------------------------------------------
 */

static bool to_server(struct service *service)
{
    const uint8_t *bytes;
    ssize_t count = nghttp2_session_mem_send(service->client, &bytes);
    struct failure failure = {.status = TRIT_OK};

    CHECK(count >= 0);
    if (count > 0 && h2_receive(service->server, bytes, (size_t)count, &failure) < 0)
        service->broken = true;
    return count > 0;
}

static bool to_client(struct service *service)
{
    struct failure failure = {.status = TRIT_OK};
    struct iovec iov[64];
    size_t count = 64;

    if (h2_produce(service->server, iov, &count, &failure) < 0) {
        service->broken = true;
        return false;
    }
    for (size_t i = 0; i < count && !service->broken; i++)
        service->broken =
            nghttp2_session_mem_recv(service->client, iov[i].iov_base, iov[i].iov_len) !=
            (ssize_t)iov[i].iov_len;
    if (count > 0)
        h2_produced(service->server);
    service->broken |= h2_over(service->server); /* a socket would be closed now */
    return count > 0;
}

static void pump(struct service *service)
{
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        bool moved = !service->broken && to_server(service);

        moved |= !service->broken && to_client(service);
        if (!moved)
            return;
    }
    check_failed(__FILE__, __LINE__, "the sessions talk for ever");
}

static bool is_closed(void *arg)
{
    struct exchange *exchange = arg;

    pump(exchange->service);
    return exchange->closed || exchange->service->broken;
}

static bool is_uploaded(void *arg)
{
    struct exchange *exchange = arg;

    pump(exchange->service);
    return exchange->left == 0 || exchange->closed;
}

/* ---- the service
 * ------------------------------------------------------------------------ */

static void wake(void *waker)
{
    (void)waker; /* every turn of the loop pumps anyway */
}

static void open_rpc(struct service *service)
{
    struct failure failure = {.status = TRIT_OK};
    const struct kernels *kernels = kernels_select(service->options.isa);
    const struct store_config store_config = {.mailbox = service->mailbox,
                                              .kernels = kernels,
                                              .metrics = service->metrics,
                                              .queue_max = 64};
    const struct layers_config layers_config = {.directory = service->options.data_dir,
                                                .budget = &service->budget,
                                                .metrics = service->metrics};
    struct rpc_config config = {
        .limits = &service->options.limits,
        .kernels = kernels,
        .pool = service->pool,
        .blocks = service->blocks,
        .budget = &service->budget,
        .timers = service->timers,
        .metrics = service->metrics,
        .version = "test",
    };

    CHECK(store_open(&service->store, &store_config, &failure) == 0);
    CHECK(store_reader_open(&service->reader, service->store, &failure) == 0);
    config.store = service->store;
    CHECK(layers_open(&service->layers, &layers_config, &failure) == 0);
    config.layers = service->layers;
    config.reader = service->reader;
    CHECK(rpc_create(&service->rpc, &config, &failure) == 0);
    service->server =
        h2_create(&service->options.limits, rpc_events(), service->rpc, wake, NULL);
    CHECK(service->server);
}

struct service *service_open(const struct service_options *options)
{
    struct failure failure = {.status = TRIT_OK};
    struct service *service = calloc(1, sizeof(*service));
    size_t methods = 0;

    CHECK(service);
    service->options = *options;
    service->loop = loop_create();
    CHECK(mailbox_create(&service->mailbox, service->loop, &failure) == 0);
    CHECK(timers_create(&service->timers, service->loop, &failure) == 0);
    budget_init(&service->budget, options->limits.memory_bytes_max);
    service->blocks = blocks_create(&service->budget);
    CHECK(service->blocks);
    CHECK(pool_start(&service->pool, options->threads, service->mailbox, &failure) == 0);
    while (methods < METHODS_MAX && rpc_method_path(methods)) {
        service->methods[methods] = rpc_method_path(methods);
        methods++;
    }
    service->metrics = metrics_create(service->methods, methods, "test", "test");
    CHECK(service->metrics);
    open_rpc(service);
    service->client = client_create(service);
    return service;
}

static void idle(void *arg)
{
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

void service_close(struct service *service)
{
    bool is_idle = false;

    h2_destroy(service->server);
    nghttp2_session_del(service->client);
    rpc_on_idle(service->rpc, idle, &is_idle);
    loop_run_until(service->loop, is_true, &is_idle);
    pool_stop(service->pool);
    layers_close(service->layers);
    CHECK_EQ(service->budget.bytes_used, 0);
    store_reader_close(service->reader);
    store_close(service->store);
    rpc_destroy(service->rpc);
    mailbox_close(service->mailbox);
    timers_close(service->timers);
    loop_destroy(service->loop);
    blocks_destroy(service->blocks);
    metrics_destroy(service->metrics);
    free(service);
}

bool service_broken(const struct service *service)
{
    return service->broken;
}

static bool is_settled(void *arg)
{
    struct service *service = arg;

    pump(service);
    return service->budget.bytes_used == 0;
}

void service_settle(struct service *service)
{
    loop_run_until(service->loop, is_settled, service);
}

/* ---- requests and replies
 * -------------------------------------------------------------------- */

void request_put(struct request *request, const void *bytes, size_t count)
{
    if (request->capacity - request->count < count) {
        request->capacity = (request->capacity + count) * 2;
        request->bytes = realloc(request->bytes, request->capacity);
        CHECK(request->bytes);
    }
    if (count > 0)
        memcpy(request->bytes + request->count, bytes, count);
    request->count += count;
}

void request_message(struct request *request, const void *head, size_t head_count,
                     const void *data, size_t data_count)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];

    frame_prefix(prefix, (uint32_t)(head_count + data_count));
    request_put(request, prefix, sizeof(prefix));
    request_put(request, head, head_count);
    request_put(request, data, data_count);
}

void request_free(struct request *request)
{
    free(request->bytes);
    *request = (struct request){0};
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

void exchange_start(struct service *service, struct exchange *exchange, const char *path,
                    const struct request *request, size_t cut, bool keep_open,
                    const char *timeout)
{
    nghttp2_nv fields[] = {field(":method", "POST"),
                           field(":scheme", "http"),
                           field(":path", path),
                           field(":authority", "test"),
                           field("te", "trailers"),
                           field("content-type", "application/grpc"),
                           field("grpc-timeout", timeout ? timeout : "")};
    nghttp2_data_provider body = {.read_callback = upload};

    *exchange = (struct exchange){.service = service,
                                  .bytes = request->bytes,
                                  .left = request->count,
                                  .cut = cut,
                                  .keep_open = keep_open,
                                  .status = -1};
    for (size_t i = 0; i < EXCHANGES_MAX; i++) {
        if (!service->exchanges[i]) {
            service->exchanges[i] = exchange;
            exchange->id = nghttp2_submit_request(service->client, NULL, fields,
                                                  timeout ? 7 : 6, &body, NULL);
            CHECK(exchange->id > 0);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "too many exchanges at once");
}

void exchange_reset(struct exchange *exchange)
{
    nghttp2_submit_rst_stream(exchange->service->client, NGHTTP2_FLAG_NONE, exchange->id,
                              NGHTTP2_CANCEL);
    pump(exchange->service);
}

void exchange_finish(struct exchange *exchange)
{
    loop_run_until(exchange->service->loop, is_closed, exchange);
}

void exchange_upload(struct exchange *exchange)
{
    loop_run_until(exchange->service->loop, is_uploaded, exchange);
}

struct awaited {
    struct exchange *exchange;
    size_t index;
};

static bool has_message(void *arg)
{
    struct awaited *awaited = arg;
    size_t count;

    pump(awaited->exchange->service);
    return awaited->exchange->closed ||
           exchange_message(awaited->exchange, awaited->index, &count);
}

void exchange_await(struct exchange *exchange, size_t index)
{
    struct awaited awaited = {exchange, index};

    loop_run_until(exchange->service->loop, has_message, &awaited);
}

void exchange_free(struct exchange *exchange)
{
    for (size_t i = 0; i < EXCHANGES_MAX; i++)
        if (exchange->service->exchanges[i] == exchange)
            exchange->service->exchanges[i] = NULL;
    free(exchange->body);
    exchange->body = NULL;
}

const uint8_t *exchange_message(const struct exchange *exchange, size_t index,
                                size_t *count)
{
    size_t at = 0;

    while (at + GRPC_PREFIX_BYTES <= exchange->body_count) {
        const uint8_t *prefix = exchange->body + at;
        size_t length = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 |
                        (size_t)prefix[3] << 8 | prefix[4];

        at += GRPC_PREFIX_BYTES;
        if (at + length > exchange->body_count)
            return NULL;
        if (index-- == 0) {
            *count = length;
            return exchange->body + at;
        }
        at += length;
    }
    return NULL;
}
