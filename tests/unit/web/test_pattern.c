/* SPDX-License-Identifier: Apache-2.0 */
/* Names: patterns and the order in which people read them; fields; intervals; codings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "web/accept.h"
#include "web/field.h"
#include "web/history.h"
#include "web/pattern.h"

CASE(natural, "digits compare by their value, everything else as bytes")
{
    static const char *const ordered[] = {
        "",
        "a",
        "a.0",
        "a.1",
        "a.2",
        "a.2.b",
        "a.10",
        "a.10.b",
        "a.99999999999999999999",
        "a.100000000000000000000",
        "b",
        "ba",
    };
    const int count = sizeof(ordered) / sizeof(ordered[0]);

    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++) {
            int order = natural_compare(ordered[i], ordered[k]);

            if ((order > 0) - (order < 0) != (i > k) - (i < k))
                check_failed(__FILE__, __LINE__, "\"%s\" and \"%s\": %d", ordered[i],
                             ordered[k], order);
        }
    CHECK(natural_compare("layers.2.up", "layers.10.up") < 0);
    CHECK(natural_compare("layers.10.up", "layers.2.up") > 0);
    CHECK(natural_compare("layers.10.down", "layers.10.up") < 0);
    CHECK(natural_compare("1", "01") != 0);
    CHECK_EQ(natural_compare("a.7", "a.7"), 0);
}

CASE(patterns, "a star stands for any bytes, a question mark for one")
{
    CHECK(pattern_matches("*", ""));
    CHECK(pattern_matches("layers.*.up", "layers.10.mlp.up"));
    CHECK(!pattern_matches("layers.*.up", "layers.10.mlp.down"));
    CHECK(pattern_matches("a?c", "abc"));
    CHECK(!pattern_matches("a?c", "ac"));
    CHECK(pattern_matches("*ab*ab*", "xabyabz"));
    CHECK(!pattern_matches("*ab*ab*", "xabz"));
    CHECK(pattern_matches("[a]", "[a]"));
    CHECK(pattern_is_wild("a*") && pattern_is_wild("?") && !pattern_is_wild("[a]"));
    CHECK(pattern_filters("mlp", "layers.1.mlp.up"));
    CHECK(!pattern_filters("m*p", "layers.1.mlp.up"));
    CHECK(pattern_filters("*m*p", "layers.1.mlp.up"));
}

CASE(many_stars, "the time of a match is bounded by the product of the lengths")
{
    char pattern[256], name[256];

    for (size_t i = 0; i + 1 < sizeof(pattern); i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(name, 'a', sizeof(name));
    pattern[255] = name[255] = '\0';
    pattern[254] = 'b';
    CHECK(!pattern_matches(pattern, name));
}

CASE(fields, "fields are names of a report's numbers, each at most once")
{
    const struct field *fields[HISTORY_FIELDS_MAX];
    struct failure failure = {0};
    struct trit_report report = {.elements = 4, .zeros = 1, .flips = 3};
    double value = 0;

    CHECK_EQ(fields_parse("", fields, &failure), 7);
    CHECK_EQ(fields_parse("zero_fraction,flips", fields, &failure), 2);
    CHECK(fields[0]->get(&report, &value));
    CHECK(value > 0.24 && value < 0.26);
    CHECK(!fields[1]->get(&report, &value)); /* there was no step before */
    report.has_previous = true;
    CHECK(fields[1]->get(&report, &value));
    CHECK_EQ(fields[1]->kind, FIELD_COUNT);
    CHECK_EQ(fields_parse("zeros,zeros", fields, &failure), -1);
    CHECK_STR(failure.message, "fields: zeros is given twice");
    failure = (struct failure){0};
    CHECK_EQ(fields_parse("zeros,none", fields, &failure), -1);
    CHECK_STR(failure.message,
              "fields: \"none\" is not a number of a report; see /v1/openapi.json");
    CHECK_EQ(fields_parse("health", fields, &failure), -1);
    CHECK_EQ(fields_parse("zeros,", fields, &failure), -1);
}

CASE(folds,
     "a field is folded as in the store, and a whole number comes back from its place")
{
    const uint64_t half = (uint64_t)1 << 62;

    for (int i = 0; i < STORE_FIELDS; i++) {
        const enum store_field field = (enum store_field)i;

        CHECK_EQ(field_by_name(store_field_name(field))->fold, store_field_fold(field));
    }
    for (uint64_t whole = 0; whole < 3; whole++) {
        CHECK_EQ(field_unpack(field_pack(whole)), whole);
        CHECK_EQ(field_unpack(field_pack(half - whole)), half - whole);
        CHECK_EQ(field_unpack(field_pack(INT64_MAX - whole)), INT64_MAX - whole);
        CHECK(!isnan(field_pack(INT64_MAX - whole)));
    }
}

CASE(intervals, "an interval shows all steps in at most so many columns")
{
    CHECK_EQ(history_every(1, 100, 120), 1);
    CHECK_EQ(history_every(0, UINT64_MAX / 2, 2), UINT64_MAX / 2 + 1);
    for (uint64_t last = 0; last < 2000; last += 7)
        for (uint64_t columns = 2; columns < 50; columns += 3)
            for (uint64_t first = 0; first <= last; first += 101) {
                uint64_t every = history_every(first, last, columns);

                CHECK(last / every - first / every < columns);
            }
}

CASE(codings, "gzip is used where Accept-Encoding allows it")
{
    CHECK(accepts_gzip("gzip"));
    CHECK(accepts_gzip("br, GZIP;q=0.5"));
    CHECK(accepts_gzip("*"));
    CHECK(accepts_gzip("deflate , gzip ; q=1"));
    CHECK(!accepts_gzip(NULL));
    CHECK(!accepts_gzip(""));
    CHECK(!accepts_gzip("br, deflate"));
    CHECK(!accepts_gzip("gzip;q=0"));
    CHECK(!accepts_gzip("gzip;q=0.000, br"));
    CHECK(!accepts_gzip("*, gzip;q=0"));
    CHECK(!accepts_gzip("xgzip"));
    CHECK(accepts_gzip("gzip;x=0;q=1"));
}

CASE(qualities, "a list of Accept gives each name the greatest of its q, in thousandths")
{
    static const char list[] =
        "text/a;q=0.5, TEXT/B ; v=\"1;q=0,text/c\\\",\"; Q=0.25,"
        "text/d;q=0.1,text/d;v=2;q=0.375, text/e;q=, text/f;q=1.000,"
        "text/g;q=0.0009,,;q=0, text/h;q=x ;v";

    CHECK_EQ(quality_of(list, "text/a"), 500);
    CHECK_EQ(quality_of(list, "text/b"), 250);
    CHECK_EQ(quality_of(list, "text/c"), QUALITY_ABSENT);
    CHECK_EQ(quality_of(list, "text/d"), 375);
    CHECK_EQ(quality_of(list, "text/e"), 1000);
    CHECK_EQ(quality_of(list, "text/f"), 1000);
    CHECK_EQ(quality_of(list, "text/g"), 0);
    CHECK_EQ(quality_of(list, "text/h"), 1000);
    CHECK_EQ(quality_of("text/a;v=\"", "text/a"), 1000);
    CHECK_EQ(quality_of("", "text/a"), QUALITY_ABSENT);
    CHECK_EQ(quality_of(NULL, "text/a"), QUALITY_ABSENT);
}

CASE(openmetrics, "OpenMetrics is for those that name it and like text/plain no better")
{
    CHECK(accepts_openmetrics("application/openmetrics-text"));
    CHECK(accepts_openmetrics(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")); /* Prometheus 3 */
    CHECK(
        accepts_openmetrics("*/*, text/plain;q=0.1, application/openmetrics-text;q=0.2"));
    CHECK(!accepts_openmetrics("application/openmetrics-text;q=0"));
    CHECK(!accepts_openmetrics("application/openmetrics-text;q=0, */*"));
    CHECK(!accepts_openmetrics("text/plain, application/openmetrics-text;q=0.5"));
    CHECK(!accepts_openmetrics("*/*"));
    CHECK(!accepts_openmetrics("application/openmetrics-text2"));
    CHECK(!accepts_openmetrics(""));
}
