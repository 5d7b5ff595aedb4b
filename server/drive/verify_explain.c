/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/verify_explain.h"

#include "drive/explain_matrix.h"

bool verify_has_reciprocals(const struct verifying *v)
{
    return !v->record.layers && config_has_reciprocals(v->rules.config);
}

enum trit_dtype subject_latents_dtype(const struct subject *subject)
{
    if (!subject->reference)
        return TRIT_DTYPE_UNSPECIFIED;
    return subject->reference_matrices.basis.block ? TRIT_F32
                                                   : subject->reference->type->dtype;
}

int verify_explain(struct verifying *v, struct subject *subject,
                   const struct trit_report *report)
{
    const struct explain_parts parts = {
        .name = subject->name,
        .content = subject->content,
        .dtype = subject->dtype,
        .latents_dtype = subject_latents_dtype(subject),
        .matrices = subject->matrices,
        .data = &subject->data,
        .latents = &subject->reference_data,
        .scales = subject->scale_data.data, /* they are in memory */
        .scale_bytes = subject->scale_data.bytes,
        .scales_dtype =
            subject->scales ? subject->scales->type->dtype : TRIT_DTYPE_UNSPECIFIED,
        .reciprocal = verify_has_reciprocals(v),
    };

    return explain_matrix(&v->findings, &parts, report);
}
