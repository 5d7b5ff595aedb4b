/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of metrics, histograms, limits, kinds of product, and kinds and results of jobs,
 * from the tables in the .def files. */
#ifndef OBS_METRIC_IDS_H
#define OBS_METRIC_IDS_H

enum metric_id {
#define METRIC(id, name, type, help) id,
#include "obs/metric_ids.def"
#undef METRIC
    METRIC_COUNT
};

/* Times that are not those of a call. */
enum histogram_id {
#define HISTOGRAM(id, name, help) id,
#include "obs/histograms.def"
#undef HISTOGRAM
    HISTOGRAM_COUNT
};

/* Bounds whose refusals are counted: the label of tritd_limit_refusals_total. */
enum limit_id {
#define LIMIT(id, name) id,
#include "obs/limits.def"
#undef LIMIT
    LIMIT_COUNT
};

/* Kinds of products with held layers: the label of tritd_layer_products_total. */
enum product_id {
#define PRODUCT(id, name) id,
#include "obs/products.def"
#undef PRODUCT
    PRODUCT_COUNT
};

/* Jobs over checkpoints: the labels of tritd_jobs_finished_total. */
enum job_kind_id {
#define JOB_KIND(id, name) id,
#include "obs/job_kinds.def"
#undef JOB_KIND
    JOB_KIND_COUNT
};
enum job_result_id {
#define JOB_RESULT(id, name) id,
#include "obs/job_results.def"
#undef JOB_RESULT
    JOB_RESULT_COUNT
};

#endif
