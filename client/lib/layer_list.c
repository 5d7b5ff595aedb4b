/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.List and Verify: replies about many layers. */
#include "client/lib/layer.h"
#include "client/lib/page.h"
#include "client/lib/tensor.h"

/* ---- List ---------------------------------------------------------------------- */

enum { PAGE_LAYERS = 1000 }; /* the daemon's maximum */

/* Writes specs to the caller's struct. Does not call the visitor again once it returned
 * other than 0. */
struct spec_visit {
    struct trit_layer_spec *spec;
    int (*visit)(void *arg, const struct trit_layer_spec *spec);
    void *arg;
    bool stopped;
};

static void visit_spec(void *arg, const struct wire_layer_spec *wire)
{
    struct spec_visit *visit = arg;
    const struct trit_layer_spec spec = layer_spec_given(wire);

    if (visit->stopped)
        return;
    sized_give(&sized_layer_spec, visit->spec, &spec);
    visit->stopped = visit->visit(visit->arg, visit->spec) != 0;
}

static int layer_list(struct wire_layer_list *request, const struct call *call,
                      struct spec_visit *visit, struct failure *failure)
{
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    char why[CODEC_ERROR_BYTES];
    struct page page;
    int rc;

    page_init(&page, call->client);
    do {
        rc = page_fetch(&page, "/trit.v1.Layers/List", head,
                        encode_layer_list(request, head, sizeof(head)), call, failure);
        if (rc == 0 && decode_layers_page(page.bytes, page.count, visit_spec, visit,
                                          request->page_token, why) != 0)
            rc = fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    } while (rc == 0 && !visit->stopped && request->page_token[0] != '\0');
    page_fini(&page);
    return rc;
}

enum trit_status
trit_layer_list(struct trit_client *client, const char *prefix,
                const struct trit_call_options *options, struct trit_layer_spec *spec,
                int (*visit)(void *arg, const struct trit_layer_spec *spec), void *arg,
                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_layer_list request = {.page_size = PAGE_LAYERS};
    struct spec_visit visiting = {.spec = spec, .visit = visit, .arg = arg};
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        sized_check(&sized_layer_spec, "spec", spec, &failure) == 0 &&
        (visit || fail_null(&failure, "visit") == 0) &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        name_copy("prefix", prefix, request.prefix, &failure) == 0)
        layer_list(&request, &call, &visiting, &failure);
    return client_answer(&failure, error);
}

/* ---- Verify -------------------------------------------------------------------- */

/* The reply is one page of reports; there is no next page. */
static int layer_verify(const struct wire_layer_verify *request, const struct call *call,
                        struct report_visit *visit, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES], token[PAGE_TOKEN_BYTES_MAX + 1];
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct page page;
    int rc;

    page_init(&page, call->client);
    rc = page_fetch(&page, "/trit.v1.Layers/Verify", head,
                    encode_layer_verify(request, head, sizeof(head)), call, failure);
    if (rc == 0 &&
        decode_reports_page(page.bytes, page.count, report_visit, visit, token, why) != 0)
        rc = fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    page_fini(&page);
    return rc;
}

enum trit_status trit_layer_verify(
    struct trit_client *client, const struct trit_layer_verify_options *options,
    struct trit_report *report, int (*visit)(void *arg, const struct trit_report *report),
    void *arg, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct report_visit visiting = {.report = report, .visit = visit, .arg = arg};
    struct trit_layer_verify_options o;
    struct wire_layer_verify request;
    struct call call;

    if (client_check(client, error, &failure) < 0 ||
        sized_take_optional(&sized_layer_verify_options, "options", options, &o,
                            &failure) < 0 ||
        report_visit_check(&visiting, &failure) < 0 ||
        call_init(&call, client, "options.call", o.call, 0, &failure) < 0)
        return client_answer(&failure, error);
    request = (struct wire_layer_verify){.has_tolerance = o.has_tolerance,
                                         .tolerance = o.tolerance};
    if (name_copy("prefix", o.prefix, request.prefix, &failure) == 0)
        layer_verify(&request, &call, &visiting, &failure);
    return client_answer(&failure, error);
}
