# SPDX-License-Identifier: Apache-2.0
"""The metrics of the Layers service."""
import numpy as np

import reference as ref
from held import BF16, EMBEDDING, INT8, Service, load, normal, spec
from test_http import metrics


def test_layers_their_memory_and_latents_are_gauged(start, random):
    own = start()
    one = Service(own)
    assert metrics(own)["tritd_layers"] == metrics(own)["tritd_layers_memory_bytes"] == 0
    one.Create(spec=spec("a", 1024, 1024), seed=1)
    alone = metrics(own)
    assert alone["tritd_layers"] == 1
    assert 0.25 < alone["tritd_layers_memory_bytes"] / (1024 * 1024) < 2.3 / 8
    assert alone["tritd_memory_budget_used_bytes"] >= alone["tritd_layers_memory_bytes"]
    load(one, "b", normal(random, 64, 128), dtype=BF16, keep_latents=True)
    held = metrics(own)
    assert held["tritd_layers"] == 2 and held["tritd_layers_latents_bytes"] == 64 * 128 * 2
    own.kill()
    own = start()
    again = metrics(own)
    for gauge in ("tritd_layers", "tritd_layers_memory_bytes", "tritd_layers_latents_bytes"):
        assert again[gauge] == held[gauge]
    Service(own).Delete(name="b")
    left = metrics(own)
    for gauge in ("tritd_layers", "tritd_layers_memory_bytes", "tritd_layers_latents_bytes"):
        assert left[gauge] == alone[gauge]


def test_a_damaged_file_is_counted(start):
    own = start()
    Service(own).Create(spec=spec("bad", 20, 64))
    assert own.stop() == 0
    held = own.folder / "data/layers/held/bad"
    held.write_bytes(held.read_bytes()[:-1])
    assert metrics(start())["tritd_layers_damaged_total"] == 1


def test_products_and_rows_are_counted_by_kind(daemon, layers, name, random):
    load(layers, name, normal(random, 40, 96))
    load(layers, name + "e", normal(random, 50, 32), kind=EMBEDDING)
    x, g = ref.tensor(normal(random, 3, 5, 96)), ref.tensor(normal(random, 3, 5, 40))
    before = metrics(daemon)
    layers.Forward(name=name, x=x)
    layers.Forward(name=name, x=x, activations=INT8)
    layers.Forward(name=name, x=x, activations=INT8, report_error=True)
    layers.Backward(name=name, x=x, grad_output=g)
    layers.AsLinear(name=name + "e", x=ref.tensor(normal(random, 2, 32)))
    layers.Embed(name=name + "e", ids=[1, 2, 1])
    after = metrics(daemon)

    def counted(sample):
        return after[sample] - before[sample]

    for kind, rows, products in [("forward_f32", 32, 30 * 96 * 40 + 2 * 32 * 50),
                                 ("forward_int8", 30, 30 * 96 * 40),
                                 ("grad_input", 15, 15 * 96 * 40),
                                 ("grad_weight", 15, 15 * 96 * 40)]:
        assert counted(f'tritd_layer_rows_total{{kind="{kind}"}}') == rows
        assert counted(f'tritd_layer_products_total{{kind="{kind}"}}') == products
    assert counted("tritd_layer_embedded_rows_total") == 3
    assert counted("tritd_layer_seconds_total") > 0
    assert counted('tritd_rpc_handled_total{method="/trit.v1.Layers/Forward",code="OK"}') == 3


def test_weights_of_layers_count_as_elements(daemon, layers, name):
    before = metrics(daemon)["tritd_elements_total"]
    layers.Create(spec=spec(name, 30, 100))
    load(layers, name + "l", np.ones((10, 100)))
    layers.Verify(prefix=name)
    assert metrics(daemon)["tritd_elements_total"] - before == 2 * (3000 + 1000)
