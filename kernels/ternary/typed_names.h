/* SPDX-License-Identifier: Apache-2.0 */
/* The names that the templates of body.h define or use for each element type:
 * simd/typed.h says how. */
#ifndef KERNELS_TYPED_NAMES_H
#define KERNELS_TYPED_NAMES_H

#include "kernels/simd/typed.h"

#define all_finite TYPED(all_finite)
#define bound TYPED(bound)
#define count_non_finite TYPED(count_non_finite)
#define drop_empty_ranges TYPED(drop_empty_ranges)
#define emission TYPED(emission)
#define emit_block TYPED(emit_block)
#define emit_group TYPED(emit_group)
#define emit_groups TYPED(emit_groups)
#define emit_unit TYPED(emit_unit)
#define emitters TYPED(emitters)
#define error_of TYPED(error_of)
#define find_keys TYPED(find_keys)
#define find_non_finite TYPED(find_non_finite)
#define finish_block TYPED(finish_block)
#define group_top TYPED(group_top)
#define infer_scales TYPED(infer_scales)
#define keep_union TYPED(keep_union)
#define load_magnitudes TYPED(load_magnitudes)
#define load_unit TYPED(load_unit)
#define load_wide TYPED(load_wide)
#define moments_of TYPED(moments_of)
#define prefetch_half TYPED(prefetch_half)
#define prefetch_unit TYPED(prefetch_unit)
#define replicate_keys TYPED(replicate_keys)
#define scale_rounded TYPED(scale_rounded)
#define scales_as_stored TYPED(scales_as_stored)
#define store_narrow TYPED(store_narrow)
#define store_unit TYPED(store_unit)
#define sum_block TYPED(sum_block)
#define sum_groups TYPED(sum_groups)
#define sum_latents TYPED(sum_latents)
#define sum_neighbours TYPED(sum_neighbours)
#define tally_exact TYPED(tally_exact)
#define tally_unit TYPED(tally_unit)
#define ternarize_cached TYPED(ternarize_cached)
#define ternarize_groups TYPED(ternarize_groups)
#define ternarize_streaming TYPED(ternarize_streaming)
#define total_groups TYPED(total_groups)
#define undo_tally TYPED(undo_tally)
#define unpack_group TYPED(unpack_group)
#define unpack_groups TYPED(unpack_groups)
#define verify_alone TYPED(verify_alone)
#define verify_dense_groups TYPED(verify_dense_groups)
#define verify_inexact_groups TYPED(verify_inexact_groups)

#endif
