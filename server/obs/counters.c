/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/counters.h"

#define MS 1000000ull
const struct seconds_bucket seconds_buckets[SECONDS_BUCKETS] = {
    {MS / 10, "0.0001"},    {MS / 4, "0.00025"},    {MS / 2, "0.0005"},
    {MS, "0.001"},          {5 * MS / 2, "0.0025"}, {5 * MS, "0.005"},
    {10 * MS, "0.01"},      {25 * MS, "0.025"},     {50 * MS, "0.05"},
    {100 * MS, "0.1"},      {250 * MS, "0.25"},     {500 * MS, "0.5"},
    {1000 * MS, "1.0"},     {2500 * MS, "2.5"},     {5000 * MS, "5.0"},
    {10000 * MS, "10.0"},   {30000 * MS, "30.0"},   {60000 * MS, "60.0"},
    {120000 * MS, "120.0"},
};
#undef MS

const unsigned http_codes[HTTP_CODES] = {200, 304, 400, 401, 403, 404, 405,
                                         408, 413, 414, 431, 500, 503, 0};
