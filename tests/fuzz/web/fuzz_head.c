/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP request. Its first byte says in which pieces it arrives: they must
 * not change the answer, and a head that is accepted has the form that it claims. The
 * same bytes are then read as Host, as a network and as a list of forwarded addresses. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "web/head.h"
#include "web/host.h"
#include "web/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    int code;
    size_t length;
    unsigned http_status;
};

static struct result examine(const char *bytes, size_t count, size_t cut)
{
    struct failure failure = {.status = TRIT_OK};
    struct result result = {0};
    struct head head = {0};

    for (size_t have = cut; result.code == 0 && have < count + cut; have += cut)
        result.code = head_examine(&head, bytes, have < count ? have : count,
                                   &result.length, &failure);
    result.http_status = result.code < 0 ? head.http_status : 0;
    assert((result.code < 0) == (failure.status != TRIT_OK));
    return result;
}

static void check_form(const char *head, size_t length)
{
    assert(length >= 16 && length <= HTTP_HEAD_BYTES_MAX);
    assert(memcmp(head + length - 4, "\r\n\r\n", 4) == 0);
    assert(!memchr(head, '\0', length));
    for (size_t i = 0; i < length; i++) {
        assert(head[i] != '\n' || (i > 0 && head[i - 1] == '\r'));
        assert(head[i] != '\r' || head[i + 1] == '\n');
        assert(i + 4 >= length || memcmp(head + i, "\r\n\r\n", 4) != 0);
    }
}

/* A whole head whose target was a URI has a path after head_to_path, and nothing to cut. */
static void check_cut(char *bytes, size_t count)
{
    struct failure failure = {.status = TRIT_OK};
    struct head head = {0};
    size_t length = 0, left;

    assert(head_examine(&head, bytes, count, &length, &failure) == 1);
    assert(strlen(head.authority) < HTTP_AUTHORITY_BYTES);
    if (head.cut_bytes == 0)
        return;
    assert(head.cut_at + head.cut_bytes < length);
    left = count - head_to_path(&head, bytes, count);
    memset(&head, 0, sizeof(head));
    assert(head_examine(&head, bytes, left, &length, &failure) == 1);
    assert(head.cut_bytes == 0 && length <= left);
}

static void check_texts(const char *text)
{
    static const char *const names[] = {"a.example,b.example"};
    struct network networks[1];
    char client[IP_TEXT_BYTES];
    struct ip ip;

    host_allowed(text, "localhost", names, 1);
    if (network_parse(text, &networks[0]))
        assert(networks[0].bits <= 128);
    assert(network_parse("10.0.0.0/8", &networks[0]));
    for (int x = 0; x < 2; x++)
        if (forwarded_client(networks, 1, x ? NULL : text, x ? text : NULL, client))
            assert(ip_parse(client, &ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;
    char *bytes;

    if (size < 2)
        return 0;
    bytes = malloc(size);
    memcpy(bytes, data + 1, size - 1);
    bytes[size - 1] = '\0';
    whole = examine(bytes, size - 1, size);
    cut = examine(bytes, size - 1, (size_t)data[0] + 1);
    if (whole.code == 1) {
        check_form(bytes, whole.length);
        check_cut(bytes, size - 1);
    }
    assert(cut.code == whole.code && (cut.code != 1 || cut.length == whole.length));
    memcpy(bytes, data + 1, size - 1);
    bytes[size - 1] = '\0';
    check_texts(bytes);
    free(bytes);
    return 0;
}
