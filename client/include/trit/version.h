/* SPDX-License-Identifier: Apache-2.0 */
/* The version of these headers. trit_version() (trit/base.h) gives that of the library
 * that the program runs with, which may be newer: docs/abi.md. */
#ifndef TRIT_VERSION_H
#define TRIT_VERSION_H

#define TRIT_VERSION_MAJOR 0
#define TRIT_VERSION_MINOR 2
#define TRIT_VERSION_PATCH 0
#define TRIT_VERSION_STRING "0.2.0"

/* True where these headers are of version major.minor.patch or newer, also in #if. */
#define TRIT_VERSION_AT_LEAST(major, minor, patch)                                       \
    (TRIT_VERSION_MAJOR > (major) ||                                                     \
     (TRIT_VERSION_MAJOR == (major) &&                                                   \
      (TRIT_VERSION_MINOR > (minor) ||                                                   \
       (TRIT_VERSION_MINOR == (minor) && TRIT_VERSION_PATCH >= (patch)))))

#endif
