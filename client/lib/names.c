/* SPDX-License-Identifier: Apache-2.0 */
#include <trit.h>

#include "base/status.h"
#include "client/lib/sized.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/names.h"

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

const char *trit_finding_kind_name(enum trit_finding_kind kind)
{
    return finding_kind_name(kind);
}

const char *trit_severity_name(enum trit_severity severity)
{
    return severity_name(severity);
}

const char *trit_verdict_name(enum trit_verdict verdict)
{
    return verdict_name(verdict);
}

enum trit_verdict trit_report_verdict(const struct trit_report *report)
{
    struct trit_report full;

    if (sized_read(&sized_report, "report", report, &full, NULL) < 0)
        return TRIT_VERDICT_INCONCLUSIVE;
    if (full.finding_count > TRIT_FINDINGS_MAX)
        return TRIT_VERDICT_INCONCLUSIVE;
    return report_verdict(&full);
}

const char *trit_version(void)
{
    return TRITD_VERSION;
}
