/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/http_refusal.h"

#include <stdio.h>
#include <string.h>

#include "base/account.h"
#include "base/peer.h"
#include "h2/session.h"

enum { SENTENCE_BYTES = 256 };

struct sentence {
    struct h2_slice slice;
    struct account *account;
    char text[SENTENCE_BYTES];
};

static void release(struct h2_slice *slice)
{
    struct sentence *sentence = (struct sentence *)(void *)slice;

    account_free(sentence->account, sentence);
}

static void write_sentence(struct h2_stream *stream, const char *why)
{
    const struct peer *peer = h2_stream_peer(stream);
    struct account *account = peer ? peer->account : NULL;
    struct sentence *sentence = account_calloc(account, 1, sizeof(*sentence));

    if (!sentence)
        return;
    sentence->account = account;
    snprintf(sentence->text, sizeof(sentence->text),
             "%s. This port speaks gRPC; pages, JSON and metrics are on the HTTP port.\n",
             why);
    sentence->slice.bytes = sentence->text;
    sentence->slice.count = strlen(sentence->text);
    sentence->slice.release = release;
    h2_write(stream, &sentence->slice);
}

void http_refuse(struct h2_stream *stream, int http_status, const char *why, bool body)
{
    static const struct h2_header fields[] = {{"content-type", "text/plain", 12, 10},
                                              {"allow", "POST", 5, 4}};

    if (h2_respond(stream, http_status, fields, http_status == 405 ? 2 : 1) < 0)
        return;
    if (body)
        write_sentence(stream, why);
    h2_finish(stream, NULL, 0);
}
