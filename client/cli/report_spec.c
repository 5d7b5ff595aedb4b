/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/report_spec.h"

#include <string.h>

#include "base/number.h"

/* Decodes %XX. False: an escape is malformed, or the name is empty or too long. */
static bool read_name(char out[TRIT_NAME_BYTES_MAX + 1], const char *text, size_t count)
{
    size_t length = 0;

    for (size_t at = 0; at < count; at++) {
        char byte = text[at];

        if (byte == '%') {
            const int high = at + 2 < count ? hex_digit(text[at + 1]) : -1;
            const int low = high < 0 ? -1 : hex_digit(text[at + 2]);

            if (low < 0 || (high | low) == 0)
                return false;
            byte = (char)(high << 4 | low);
            at += 2;
        }
        if (length == TRIT_NAME_BYTES_MAX)
            return false;
        out[length++] = byte;
    }
    out[length] = '\0';
    return length > 0;
}

/* "STEP", "STEP:ATTEMPT" or "STEP:ATTEMPT:REPLICA". */
static bool read_numbers(struct report_spec *spec, const char *text)
{
    const uint64_t max[] = {INT64_MAX, UINT32_MAX, UINT32_MAX};
    uint64_t values[3] = {0};

    for (size_t i = 0; i < 3; i++) {
        const size_t digits = parse_digits(text, SIZE_MAX, &values[i]);

        if (digits == 0 || values[i] > max[i])
            return false;
        text += digits;
        if (*text == '\0')
            break;
        if (*text != ':' || i == 2)
            return false;
        text++;
    }
    spec->step = values[0];
    spec->attempt = (uint32_t)values[1];
    spec->replica = (uint32_t)values[2];
    return true;
}

bool report_spec_read(struct report_spec *spec, const char *text)
{
    const char *slash = strchr(text, '/'), *at = strrchr(text, '@');

    *spec = (struct report_spec){.step = 0};
    return slash && at && slash < at &&
           read_name(spec->run, text, (size_t)(slash - text)) &&
           read_name(spec->layer, slash + 1, (size_t)(at - slash - 1)) &&
           read_numbers(spec, at + 1);
}

struct trit_layer_ref report_spec_ref(const struct report_spec *spec)
{
    return (struct trit_layer_ref){.size = sizeof(struct trit_layer_ref),
                                   .run = spec->run,
                                   .layer = spec->layer,
                                   .step = spec->step,
                                   .attempt = spec->attempt,
                                   .replica = spec->replica};
}
