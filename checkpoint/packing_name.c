/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/packing.h"

const char *packing_name(enum packing packing)
{
    switch (packing) {
    case PACKING_MLX:
        return "MLX";
    case PACKING_GPTQ:
        return "GPTQ";
    case PACKING_AWQ:
        return "AWQ";
    case PACKING_BITSANDBYTES:
        return "bitsandbytes";
    case PACKING_COMPRESSED_TENSORS:
        return "compressed-tensors";
    case PACKING_FP8:
        return "fp8";
    case PACKING_TORCHAO:
        return "torchao";
    case PACKING_HF_BITNET:
        return "hf_bitnet";
    case PACKING_INT8:
        return "int8";
    case PACKING_MXFP4:
        return "MXFP4";
    case PACKING_TRIT:
        return "trit";
    case PACKING_SPARSE:
        return "the values of a sparse matrix";
    case PACKING_FSDP:
        return "FSDP's flat parameters";
    case PACKING_GEMLITE:
        return "gemlite";
    case PACKING_HQQ:
        return "HQQ";
    case PACKING_KERAS:
        return "Keras's ternary kernel";
    case PACKING_BITNET_GPU:
        return "BitNet's layout for GPUs";
    case PACKING_GGUF:
        return "GGUF";
    case PACKING_OTHER:
        return "an unknown packing";
    case PACKING_NONE:
        break;
    }
    return "none";
}
