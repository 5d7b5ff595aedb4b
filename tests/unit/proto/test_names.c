/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/names.h"

#include "tests/lib/check.h"

CASE(lead_back, "every value is found by its name")
{
    static const struct enum_names *const all[] = {
        &dtype_names,      &partial_group_names, &verify_mode_names, &report_detail_names,
        &layer_kind_names, &layer_part_names,    &activations_names};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (const struct enum_name *row = all[i]->values; row->name; row++) {
            unsigned value = 99;

            CHECK_STR(enum_name(all[i], row->value), row->name);
            CHECK(enum_by_name(all[i], row->name, &value) && value == row->value);
        }
}

CASE(right_values, "the names are those that options and JSON use")
{
    unsigned value = 99;

    CHECK_STR(dtype_name(TRIT_F16), "f16");
    CHECK_STR(dtype_name(TRIT_U8), "u8");
    CHECK_STR(enum_name(&partial_group_names, TRIT_PARTIAL_EXACT), "exact");
    CHECK_STR(enum_name(&layer_part_names, TRIT_LAYER_SPEC), "spec");
    CHECK(enum_by_name(&layer_kind_names, "embedding", &value));
    CHECK_EQ(value, TRIT_LAYER_EMBEDDING);
    CHECK_STR(verify_mode_names.type, "VerifyMode");
}

CASE(without_a_name, "a value or a name that is not listed is reported")
{
    unsigned value = 99;

    CHECK(!enum_name(&dtype_names, TRIT_DTYPE_UNSPECIFIED));
    CHECK(!enum_name(&report_detail_names, 3));
    CHECK(!enum_by_name(&dtype_names, "f64", &value));
    CHECK(!enum_by_name(&dtype_names, "", &value));
    CHECK_EQ(value, 99);
    CHECK_STR(dtype_name(TRIT_DTYPE_UNSPECIFIED), "unspecified");
    CHECK_STR(dtype_name((enum trit_dtype)1000), "unspecified");
}
