# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of language models as on a hub: real names, small sizes, bf16, shards, tied
embeddings, tokenizer."""
import dataclasses
import json

import numpy as np

import reference as ref
from checkpoints import Raw, bf16
from folders import save_folder

HIDDEN, HEAD_DIM, VOCABULARY, BLOCKS = 256, 64, 320, 2


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    folder: object
    config: dict
    weights: dict   # float32 values by name, in the order of the files
    layers: tuple   # names of linear layers and experts
    tables: tuple   # the embedding, which is the head too
    turned: tuple   # layers that are stored [in, out]


def attention(prefix):
    yield prefix + "self_attn.q_proj.weight", (4 * HEAD_DIM, HIDDEN)
    yield prefix + "self_attn.k_proj.weight", (2 * HEAD_DIM, HIDDEN)
    yield prefix + "self_attn.v_proj.weight", (2 * HEAD_DIM, HIDDEN)
    yield prefix + "self_attn.o_proj.weight", (HIDDEN, 4 * HEAD_DIM)


def norms(prefix):
    yield prefix + "self_attn.q_norm.weight", (HEAD_DIM,)
    yield prefix + "self_attn.k_norm.weight", (HEAD_DIM,)
    yield prefix + "input_layernorm.weight", (HIDDEN,)
    yield prefix + "post_attention_layernorm.weight", (HIDDEN,)


def mlp(prefix, inner):
    yield prefix + "gate_proj.weight", (inner, HIDDEN)
    yield prefix + "up_proj.weight", (inner, HIDDEN)
    yield prefix + "down_proj.weight", (HIDDEN, inner)


def config(model_type, architecture, **more):
    return {"architectures": [architecture], "model_type": model_type, "hidden_size": HIDDEN,
            "head_dim": HEAD_DIM, "num_attention_heads": 4, "num_key_value_heads": 2,
            "num_hidden_layers": BLOCKS, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
            **more}


def create(folder, settings, layers, kept, shards, random, table="model.embed_tokens.weight",
           turned=()):
    """Writes the model; returns the shapes of layers and of other tensors, and the number of
    files."""
    shapes = {table: (VOCABULARY, HIDDEN), **layers, **kept, "model.norm.weight": (HIDDEN,)}
    raws = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape).astype(np.float32) * .02
        if "norm" in name:
            values = 1 + values
        if "down" in name:  # a dead group a matrix
            (values.swapaxes(-1, -2) if name in turned else values)[..., :1, :128] = 0
        raws[name] = bf16(values)
    names = list(raws)
    cuts = [round(i * len(names) / shards) for i in range(shards + 1)]
    save_folder(folder, [{name: raws[name] for name in names[begin:end]}
                         for begin, end in zip(cuts, cuts[1:])], settings)
    for name, text in (("tokenizer.json", json.dumps({"version": "1.0", "model": {"vocab": {}}})),
                       ("tokenizer_config.json", '{"eos_token": "<|im_end|>"}'),
                       ("vocab.json", "{}"), ("merges.txt", "#version: 0.2\n"),
                       ("generation_config.json", '{"temperature": 0.6}'),
                       ("LICENSE", "Apache-2.0\n")):
        (folder / name).write_text(text)
    weights = {name: ref.widen(raw.data, ref.BF16).reshape(raw.shape)
               for name, raw in raws.items()}
    return Model(folder, settings, weights, tuple(layers), (table,), tuple(turned))


def qwen3(folder, random):
    """A dense model."""
    layers, kept = {}, {}
    for i in range(BLOCKS):
        prefix = f"model.layers.{i}."
        layers.update([*attention(prefix), *mlp(prefix + "mlp.", 384)])
        kept.update(norms(prefix))
    return create(folder, config("qwen3", "Qwen3ForCausalLM", intermediate_size=384), layers, kept,
                  3, random)


def qwen3_moe(folder, random):
    """A mixture of experts: separate experts in the first block, experts of rank 3 in the
    second; with routers and shared experts."""
    experts, inner = 3, 128
    layers, kept = {}, {}
    for i in range(BLOCKS):
        prefix = f"model.layers.{i}."
        layers.update([*attention(prefix), *mlp(prefix + "mlp.shared_expert.", 256)])
        kept.update(norms(prefix))
        kept[prefix + "mlp.gate.weight"] = (experts, HIDDEN)
        kept[prefix + "mlp.shared_expert_gate.weight"] = (1, HIDDEN)
        if i == 0:
            for e in range(experts):
                layers.update(mlp(f"{prefix}mlp.experts.{e}.", inner))
        else:
            layers[prefix + "mlp.experts.gate_up_proj"] = (experts, 2 * inner, HIDDEN)
            layers[prefix + "mlp.experts.down_proj"] = (experts, HIDDEN, inner)
    return create(folder, config("qwen3_moe", "Qwen3MoeForCausalLM", num_experts=experts,
                                 num_experts_per_tok=2, moe_intermediate_size=inner,
                                 shared_expert_intermediate_size=256, norm_topk_prob=True),
                  layers, kept, 4, random)


def llama4(folder, random):
    """A mixture of experts of rank 3 that are stored [experts, in, out]."""
    experts, inner = 2, 128
    layers, kept, turned = {}, {}, []
    for i in range(BLOCKS):
        prefix = f"model.layers.{i}."
        layers.update([*attention(prefix), *mlp(prefix + "feed_forward.shared_expert.", inner)])
        kept.update(norms(prefix))
        kept[prefix + "feed_forward.router.weight"] = (experts, HIDDEN)
        fused = prefix + "feed_forward.experts."
        layers[fused + "gate_up_proj"] = (experts, HIDDEN, 2 * inner)
        layers[fused + "down_proj"] = (experts, inner, HIDDEN)
        turned += [fused + "gate_up_proj", fused + "down_proj"]
    return create(folder, config("llama4_text", "Llama4ForCausalLM", num_local_experts=experts),
                  layers, kept, 2, random, turned=turned)


def gpt2(folder, random):
    """Layers of transformers' Conv1D, which are stored [in, out], with biases and positions."""
    layers, kept = {}, {"transformer.wpe.weight": (64, HIDDEN)}
    for i in range(BLOCKS):
        prefix = f"transformer.h.{i}."
        shapes = {"attn.c_attn": (HIDDEN, 3 * HIDDEN), "attn.c_proj": (HIDDEN, HIDDEN),
                  "mlp.c_fc": (HIDDEN, 2 * HIDDEN), "mlp.c_proj": (2 * HIDDEN, HIDDEN)}
        for name, shape in shapes.items():
            layers[f"{prefix}{name}.weight"] = shape
            kept[f"{prefix}{name}.bias"] = shape[1:]
        for name in ("ln_1", "ln_2"):
            kept[f"{prefix}{name}.weight"] = kept[f"{prefix}{name}.bias"] = (HIDDEN,)
        kept[prefix + "attn.bias"] = (1, 1, 64, 64)  # the mask of older files
    return create(folder, config("gpt2", "GPT2LMHeadModel", n_embd=HIDDEN), layers, kept, 2, random,
                  "transformer.wte.weight", list(layers))


def raw(model, name):
    """A tensor as it is stored in a file."""
    values = model.weights[name]
    return Raw("BF16", values.shape, ref.narrow(values, ref.BF16))
