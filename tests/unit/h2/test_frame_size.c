/* SPDX-License-Identifier: Apache-2.0 */
/* Frames above SETTINGS_MAX_FRAME_SIZE, which h2spec cannot make here: ours is 256 KiB. */
#include "tests/lib/check.h"
#include "tests/lib/crowd.h"

/* Only the frame's header is sent: its length alone is the error. */
static void too_long(uint8_t type, uint8_t flags)
{
    struct crowd *crowd = crowd_create();
    uint8_t buffer[100];
    size_t count = headers_frame(buffer, 1, 0);
    size_t length = crowd->limits.frame_bytes_max + 1;

    crowd_feed(crowd, buffer, count);
    frame(buffer, type, flags, type == NGHTTP2_HEADERS ? 3 : 1, "", 0);
    buffer[0] = (uint8_t)(length >> 16);
    buffer[1] = (uint8_t)(length >> 8);
    buffer[2] = (uint8_t)length;
    crowd_feed(crowd, buffer, 9);
    crowd_take(crowd);
    CHECK_EQ(goaway_code(crowd), NGHTTP2_FRAME_SIZE_ERROR);
    CHECK(h2_over(crowd->session));
    CHECK_EQ(crowd->requests, 1);
    crowd_destroy(crowd);
}

CASE(headers, "HEADERS above our largest frame are a FRAME_SIZE_ERROR of the connection")
{
    too_long(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS);
}

CASE(data, "DATA above our largest frame are a FRAME_SIZE_ERROR of the connection")
{
    too_long(NGHTTP2_DATA, 0);
}
