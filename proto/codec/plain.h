/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the requests of most small calls without nanopb, whose tables take ten times as
 * long: messages that have only small numbers. Of everything else these functions say
 * false, and leave `out` untouched: nanopb decides then, and says what is wrong. */
#ifndef CODEC_PLAIN_H
#define CODEC_PLAIN_H

#include "proto/codec/codec.h"

/* A ProjectRequest that has options without `reply`, and no layer. */
bool plain_project(const struct scan_part *part, struct wire_project *out);

/* A Tensor that has dtype and shape. */
bool plain_tensor(const struct scan_part *part, struct wire_tensor *out);

#endif
