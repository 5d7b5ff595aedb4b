#include <trit.h>

#include "base/status.h"
#include "kernels/kernels.h"

const char *trit_status_name(enum trit_status status)
{
    return status_name(status);
}

const char *trit_dtype_name(enum trit_dtype dtype)
{
    return dtype_name(dtype);
}

const char *trit_encoding_name(enum trit_encoding encoding)
{
    return encoding_name(encoding);
}

size_t trit_dtype_bytes(enum trit_dtype dtype)
{
    return dtype_bytes(dtype);
}

const char *trit_version(void)
{
    return TRITD_VERSION;
}
