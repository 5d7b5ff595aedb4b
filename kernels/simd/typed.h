/* SPDX-License-Identifier: Apache-2.0 */
/* One source for three element types: f32, f16 and bf16.
 *
 * A *template* is a file named typed_*.h or *_typed.h. each_type.h includes it three
 * times, with ELEMENT defined as f32, f16 and bf16. In a template, each name listed here
 * and in ternary/typed_names.h stands for the one of the element type: unit_load is
 * unit_load_f32, unit_load_f16 and unit_load_bf16 in turn. Code outside of templates
 * writes the full names. */
#ifndef KERNELS_TYPED_H
#define KERNELS_TYPED_H

#define TYPED_PASTE(name, element) name##_##element
#define TYPED_EXPAND(name, element) TYPED_PASTE(name, element)
#define TYPED(name) TYPED_EXPAND(name, ELEMENT)

/* ---- constants of the element types ------------------------------------------------ */

#define ELEMENT_BYTES TYPED(ELEMENT_BYTES)
#define ELEMENT_BYTES_f32 4
#define ELEMENT_BYTES_f16 2
#define ELEMENT_BYTES_bf16 2

/* The sign bits of the elements in a 32-bit word. */
#define ELEMENT_SIGNS TYPED(ELEMENT_SIGNS)
#define ELEMENT_SIGNS_f32 0x80000000u
#define ELEMENT_SIGNS_f16 0x80008000u
#define ELEMENT_SIGNS_bf16 0x80008000u

/* The bits of a key. */
#define ELEMENT_KEY TYPED(ELEMENT_KEY)
#define ELEMENT_KEY_f32 0x7fffffffull
#define ELEMENT_KEY_f16 0x7fffull
#define ELEMENT_KEY_bf16 0x7fffull

/* The key of infinity. */
#define ELEMENT_INFINITY TYPED(ELEMENT_INFINITY)
#define ELEMENT_INFINITY_f32 0x7f800000u
#define ELEMENT_INFINITY_f16 0x7c00u
#define ELEMENT_INFINITY_bf16 0x7f80u

/* A key shifted left by SUM_SHIFT is an f64: the magnitude divided by SUM_SCALE. */
#define SUM_SHIFT TYPED(SUM_SHIFT)
#define SUM_SHIFT_f32 29
#define SUM_SHIFT_f16 42
#define SUM_SHIFT_bf16 45
#define SUM_SCALE TYPED(SUM_SCALE)
#define SUM_SCALE_f32 0x1p896
#define SUM_SCALE_f16 0x1p1008
#define SUM_SCALE_bf16 0x1p896

/* A sum of magnitudes below this has finite terms only. */
#define SUM_FINITE TYPED(SUM_FINITE)
#define SUM_FINITE_f32 0x1p128
#define SUM_FINITE_f16 0x1p16
#define SUM_FINITE_bf16 0x1p128

/* Keys shifted to where an f32 has its bits are magnitudes divided by this. */
#define BEYOND_SCALE TYPED(BEYOND_SCALE)
#define BEYOND_SCALE_f32 1.0
#define BEYOND_SCALE_f16 0x1p112
#define BEYOND_SCALE_bf16 1.0

/* ---- the vocabulary ---------------------------------------------------------------- */

#define UNIT_VECTORS TYPED(UNIT_VECTORS)
#define abs_sum_add TYPED(abs_sum_add)
#define abs_sum_add_vectors TYPED(abs_sum_add_vectors)
#define abs_sum_lanes TYPED(abs_sum_lanes)
#define abs_sum_reduce TYPED(abs_sum_reduce)
#define abs_sum_totals TYPED(abs_sum_totals)
#define exact_parts TYPED(exact_parts)
#define f32x16_load TYPED(f32x16_load)
#define f32x16_store TYPED(f32x16_store)
#define found_add TYPED(found_add)
#define found_total TYPED(found_total)
#define keys_above TYPED(keys_above)
#define keys_of TYPED(keys_of)
#define keyv TYPED(keyv)
#define keyv_unaligned TYPED(keyv_unaligned)
#define mask64 TYPED(mask64)
#define mask64_bits TYPED(mask64_bits)
#define near_count_add TYPED(near_count_add)
#define residue_add TYPED(residue_add)
#define sign_tally_add_unit TYPED(sign_tally_add_unit)
#define survey_add TYPED(survey_add)
#define survey_group TYPED(survey_group)
#define thresholds TYPED(thresholds)
#define thresholds_of TYPED(thresholds_of)
#define ukeyv TYPED(ukeyv)
#define unit TYPED(unit)
#define unit_above_half_scale TYPED(unit_above_half_scale)
#define unit_dequantize TYPED(unit_dequantize)
#define unit_encode TYPED(unit_encode)
#define unit_equals_scale TYPED(unit_equals_scale)
#define unit_half_codes TYPED(unit_half_codes)
#define unit_half_narrow TYPED(unit_half_narrow)
#define unit_key_where TYPED(unit_key_where)
#define unit_keys TYPED(unit_keys)
#define unit_load TYPED(unit_load)
#define unit_reduce_unions TYPED(unit_reduce_unions)
#define unit_store TYPED(unit_store)
#define unit_store_keys TYPED(unit_store_keys)
#define unit_stream TYPED(unit_stream)
#define unit_trits TYPED(unit_trits)
#define unit_union TYPED(unit_union)
#define unit_union_vector TYPED(unit_union_vector)

#endif
