/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a log line, and the two formats. */
#ifndef OBS_FIELD_H
#define OBS_FIELD_H

#include <stdint.h>

enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_F64 };
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
        double f64;
    } value;
};

/* LOG_FIELDS(LOG_STR("peer", peer), LOG_U64("streams", count)): an array that ends
 * with LOG_KIND_END. */
/* clang-format off: initializers, not blocks */
#define LOG_STR(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_STR, .value.str = (v)                               \
    }
#define LOG_U64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_U64, .value.u64 = (v)                               \
    }
#define LOG_I64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_I64, .value.i64 = (v)                               \
    }
#define LOG_F64(k, v)                                                                    \
    {                                                                                    \
        .key = (k), .kind = LOG_KIND_F64, .value.f64 = (v)                               \
    }
#define LOG_FIELDS(...)                                                                  \
    (const struct log_field[])                                                           \
    {                                                                                    \
        __VA_ARGS__,                                                                     \
        {                                                                                \
            .kind = LOG_KIND_END                                                         \
        }                                                                                \
    }
/* clang-format on */

#endif
