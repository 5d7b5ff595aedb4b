/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_INTEROP_TEST_SERVICE_H
#define TESTS_INTEROP_TEST_SERVICE_H

#include "grpc/method.h"

enum { TEST_SERVICE_METHODS = 5 };
extern const struct method *const test_service_methods[TEST_SERVICE_METHODS];

#endif
