# SPDX-License-Identifier: Apache-2.0
"""A model that Keras itself made ternary and saved, and the values that it computes with.

    KERAS_BACKEND=numpy python tests/gen/keras_ternary.py tests/data

Needs numpy, safetensors and a Keras that has TernaryDense: releases up to 3.15 have none. The
files of tests/data are from its source at commit 3422977a5e38 of 2026-08-21. keras_ternary.keras
is the model; keras_ternary.safetensors has t * scale of each kernel as [units, inputs], under the
name of its variable.
"""
import pathlib
import sys

import keras
import numpy as np
from safetensors.numpy import save_file


def main(folder):
    keras.utils.set_random_seed(7)
    x = inputs = keras.Input((13,))
    x = keras.layers.TernaryDense(6, name="first")(x)
    x = keras.layers.Dense(10, name="second")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.TernaryDense(4, use_bias=False, threshold=0.1, name="last")(x)
    model = keras.Model(inputs, x)
    values = {}
    for name, path in (("first", "ternary_dense"), ("second", "dense"), ("last", "ternary_dense_1")):
        layer = model.get_layer(name)
        layer.quantize("ternary")
        trits = keras.quantizers.unpack_ternary(layer._packed_kernel, layer._orig_input_dim, axis=0)
        scale = np.float32(keras.ops.convert_to_numpy(layer.kernel_scale))
        kernel = keras.ops.convert_to_numpy(trits).astype(np.float32)
        values[f"layers/{path}/vars/0"] = np.ascontiguousarray((kernel * scale).T)
    model.save(folder / "keras_ternary.keras")
    save_file(values, folder / "keras_ternary.safetensors")


main(pathlib.Path(sys.argv[1]))
