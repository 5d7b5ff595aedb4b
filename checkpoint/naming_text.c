/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/naming.h"

const char *role_name(enum tensor_role role)
{
    switch (role) {
    case ROLE_LINEAR:
        return "linear";
    case ROLE_EMBEDDING:
        return "embedding";
    case ROLE_HEAD:
        return "head";
    case ROLE_EXPERTS:
        return "experts";
    case ROLE_CONVOLUTION:
        return "convolution";
    case ROLE_NORM:
        return "norm";
    case ROLE_BIAS:
        return "bias";
    case ROLE_ROUTER:
        return "router";
    case ROLE_ROTARY:
        return "rotary";
    case ROLE_POSITION:
        return "position";
    case ROLE_LORA:
        return "lora";
    case ROLE_PACKING_TABLE:
        return "packing_table";
    case ROLE_OTHER:
        break;
    }
    return "other";
}
