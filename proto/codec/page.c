/* SPDX-License-Identifier: Apache-2.0 */
/* Replies with lists, which are read when they are complete, entry by entry. */
#include "layers_wire.h"

#include <stdio.h>
#include <string.h>

/* Reads a length and skips that many bytes. */
static bool take_bytes(pb_istream_t *in, size_t *count)
{
    uint64_t length;
    if (!pb_decode_varint(in, &length) || length > in->bytes_left)
        return false;
    *count = (size_t)length;
    return pb_read(in, NULL, *count);
}

/* A page: entries as field 1, or other ones as field 3, the token of the next page as field
 * 2, in any order. `entry` gets the bytes of each message that is field `entries`. */
static int page(const uint8_t *bytes, size_t count, uint32_t entries,
                int (*entry)(void *arg, const uint8_t *bytes, size_t count,
                             char error[CODEC_ERROR_BYTES]),
                void *arg, char *token, size_t token_max, char error[CODEC_ERROR_BYTES])
{
    pb_istream_t in = pb_istream_from_buffer(bytes, count);
    size_t value_bytes;
    token[0] = '\0';
    while (in.bytes_left > 0) {
        pb_wire_type_t wire;
        uint32_t number;
        bool eof;
        if (!pb_decode_tag(&in, &wire, &number, &eof) || number == 0)
            goto malformed;
        if (wire != PB_WT_STRING || (number != entries && number != 2)) {
            if (!pb_skip_field(&in, wire))
                goto malformed;
            continue;
        }
        if (!take_bytes(&in, &value_bytes))
            goto malformed;
        const uint8_t *value = bytes + (count - in.bytes_left - value_bytes);
        if ((number == entries ? entry(arg, value, value_bytes, error)
                               : wire_text("next_page_token", value, value_bytes,
                                           token_max, token, error)) != 0)
            return -1;
    }
    return 0;

malformed:
    snprintf(error, CODEC_ERROR_BYTES, "malformed");
    return -1;
}

/* ---- reports ---------------------------------------------------------------------- */

struct reports_visit {
    void (*visit)(void *arg, const struct trit_report *report);
    void *arg;
};

static int report_entry(void *arg, const uint8_t *bytes, size_t count,
                        char error[CODEC_ERROR_BYTES])
{
    const struct reports_visit *reports = arg;
    struct trit_report report;
    if (decode_report(bytes, count, &report, error) != 0)
        return -1;
    reports->visit(reports->arg, &report);
    return 0;
}

int decode_reports_page(const uint8_t *bytes, size_t count,
                        void (*visit)(void *arg, const struct trit_report *report),
                        void *arg, char token[PAGE_TOKEN_BYTES_MAX + 1],
                        char error[CODEC_ERROR_BYTES])
{
    struct reports_visit reports = {visit, arg};
    char found[PAGE_TOKEN_BYTES_MAX + 1];
    if (page(bytes, count, 1, report_entry, &reports, found, PAGE_TOKEN_BYTES_MAX,
             error) != 0)
        return -1;
    memcpy(token, found, sizeof(found));
    return 0;
}

struct damaged_visit {
    void (*visit)(void *arg, const struct wire_damaged_reports *damaged);
    void *arg;
};

static int damaged_entry(void *arg, const uint8_t *bytes, size_t count,
                         char error[CODEC_ERROR_BYTES])
{
    const struct damaged_visit *visit = arg;
    struct wire_damaged_reports damaged = {0};
    trit_v1_DamagedReports wire;
    if (wire_decode(&message_damaged_reports, bytes, count, &wire, error) != 0 ||
        wire_text("run", wire.run.bytes, wire.run.size, TRIT_NAME_BYTES_MAX, damaged.run,
                  error) != 0 ||
        wire_text("layer", wire.layer.bytes, wire.layer.size, TRIT_NAME_BYTES_MAX,
                  damaged.layer, error) != 0)
        return -1;
    damaged.step = wire.step;
    damaged.attempt = wire.attempt;
    damaged.replica = wire.replica;
    visit->visit(visit->arg, &damaged);
    return 0;
}

int decode_damaged_page(const uint8_t *bytes, size_t count,
                        void (*visit)(void *arg,
                                      const struct wire_damaged_reports *damaged),
                        void *arg, char error[CODEC_ERROR_BYTES])
{
    struct damaged_visit damaged = {visit, arg};
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    return page(bytes, count, 3, damaged_entry, &damaged, token, PAGE_TOKEN_BYTES_MAX,
                error);
}

/* ---- layers ----------------------------------------------------------------------- */

struct layers_visit {
    void (*visit)(void *arg, const struct wire_layer_spec *spec);
    void *arg;
};

static int layer_entry(void *arg, const uint8_t *bytes, size_t count,
                       char error[CODEC_ERROR_BYTES])
{
    const struct layers_visit *layers = arg;
    struct wire_layer_spec spec;
    trit_v1_LayerSpec wire;
    if (wire_decode(&message_layer_spec, bytes, count, &wire, error) != 0 ||
        wire_layer_spec(&wire, &spec, error) != 0)
        return -1;
    layers->visit(layers->arg, &spec);
    return 0;
}

int decode_layers_page(const uint8_t *bytes, size_t count,
                       void (*visit)(void *arg, const struct wire_layer_spec *spec),
                       void *arg, char token[TRIT_NAME_BYTES_MAX + 1],
                       char error[CODEC_ERROR_BYTES])
{
    struct layers_visit layers = {visit, arg};
    char found[TRIT_NAME_BYTES_MAX + 1];
    if (page(bytes, count, 1, layer_entry, &layers, found, TRIT_NAME_BYTES_MAX, error) !=
        0)
        return -1;
    memcpy(token, found, sizeof(found));
    return 0;
}
