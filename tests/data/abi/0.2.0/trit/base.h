/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of libtrit share: how structs begin, errors, names, memory. */
#ifndef TRIT_BASE_H
#define TRIT_BASE_H

#include <trit/types.h>
#include <trit/version.h>

#define TRIT_API __attribute__((visibility("default")))

/* Structs begin with their size, so that later versions can add members at the end.
 * Initialize each struct with its TRIT_..._INIT, which sets the size and makes all other
 * members 0 (the default of every option):
 *
 *     struct trit_tensor tensor = TRIT_TENSOR_INIT;
 *
 * In C, where all members are known, this does the same:
 *
 *     struct trit_tensor tensor = {.size = sizeof(tensor), .dtype = TRIT_F32, ...};
 *
 * INVALID_ARGUMENT, naming the struct: a size that is 0 or less than that of the first
 * version; an option that this library does not know and that is not 0. The library
 * writes no byte beyond the size that the caller set, and does not change the size.
 * docs/abi.md has the rules. */
#ifdef __cplusplus
extern "C++" {
template <typename Struct> inline Struct trit_init()
{
    Struct made = Struct();
    made.size = sizeof(Struct);
    return made;
}
}
#define TRIT_INIT(type) trit_init<struct type>()
#else
#define TRIT_INIT(type)                                                                  \
    {                                                                                    \
        .size = sizeof(struct type)                                                      \
    }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Why a call failed. Every call takes one, or NULL. It is written after success too:
 * status TRIT_OK and empty texts. */
struct trit_error {
    size_t size;
    enum trit_status status;
    uint32_t reserved;
    char field[64]; /* the argument at fault, as "options.group_size", or "" */
    char message[TRIT_MESSAGE_BYTES_MAX + 1];
};
#define TRIT_ERROR_INIT TRIT_INIT(trit_error)

/* Names of enum values, as messages, files and the command line write them. Static
 * strings. A value that this library does not know has a name that says so. */
TRIT_API const char *trit_status_name(enum trit_status status);       /* "NOT_FOUND" */
TRIT_API const char *trit_dtype_name(enum trit_dtype dtype);          /* "bf16" */
TRIT_API const char *trit_encoding_name(enum trit_encoding encoding); /* "pq2_0" */
TRIT_API const char *
trit_finding_kind_name(enum trit_finding_kind kind);                  /* "scale_lost" */
TRIT_API const char *trit_severity_name(enum trit_severity severity); /* "error" */
TRIT_API const char *trit_verdict_name(enum trit_verdict verdict);    /* "pass" */

/* Bytes of one element; 0 for values that are not a dtype. */
TRIT_API size_t trit_dtype_bytes(enum trit_dtype dtype);

/* Version of the library, "0.2.0". Static. */
TRIT_API const char *trit_version(void);

/* Releases memory that a call has given. NULL is harmless. */
TRIT_API void trit_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
