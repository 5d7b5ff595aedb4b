/* SPDX-License-Identifier: Apache-2.0 */
/* The files of assets/, as assets.py puts them into the daemon. */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stddef.h>

struct asset {
    const char *bytes;
    size_t count;
};

extern const struct asset asset_style_css, asset_live_js, asset_icon_svg,
    asset_openapi_json;

#endif
