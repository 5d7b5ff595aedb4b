#include "tests/unit/h2/pair.h"

/* ---- cases ---- */

static void answers(void)
{
    struct pair *pair = pair_create();
    struct reply *reply = pair_request(pair, "/a/b", 1000, false);
    struct call *call = &pair->calls[0];

    pair_pump(pair);
    CHECK_EQ(pair->call_count, 1);
    CHECK_STR(call->path, "/a/b");
    CHECK_EQ(call->header_count, 5);
    CHECK_EQ(call->body_bytes, 1000);
    CHECK(call->ended);
    CHECK(h2_greeted(pair->server));
    CHECK_EQ(h2_streams(pair->server), 1);
    call_respond(call);
    call_write(call, 300, 'x');
    call_write(call, 0, 'x');
    call_write(call, 400, 'y');
    CHECK_EQ(h2_stream_queued(call->stream), 700);
    call_finish(call);
    CHECK(pair->wakes >= 1);
    pair_pump(pair);
    CHECK_STR(reply->status, "200");
    CHECK_STR(reply->grpc_status, "0");
    CHECK_EQ(reply->body_bytes, 700);
    CHECK(reply->body[299] == 'x' && reply->body[300] == 'y');
    CHECK_EQ(reply->data_frames, 1);
    CHECK(reply->closed);
    CHECK_EQ(call->closed, 1);
    CHECK_EQ(call->close_code, 0);
    CHECK_EQ(h2_streams(pair->server), 0);
    pair_destroy(pair);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a request is delivered and answered", answers},
    };
    return CHECK_RUN(cases, argc, argv);
}
