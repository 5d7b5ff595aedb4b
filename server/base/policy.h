/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller must be allowed to do, for each method and each HTTP path. The tables of
 * services and web name one of these per row; access knows which caller has which. */
#ifndef BASE_POLICY_H
#define BASE_POLICY_H

enum policy {
    POLICY_NONE,     /* no row may have it: a row without a policy does not compile */
    POLICY_EVERYONE, /* health and probes: no token is needed */
    POLICY_READ,
    POLICY_VERIFY,
    POLICY_PROJECT,
    POLICY_LAYERS,
    POLICY_CHECKPOINTS,
    POLICY_ADMIN, /* a caller with it has all others too */
    POLICIES,
};

#endif
