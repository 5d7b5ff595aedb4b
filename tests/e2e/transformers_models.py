# SPDX-License-Identifier: Apache-2.0
"""Small models as transformers saves them, made from a seed, and their logits in NumPy: a model of
the llama family as transformers' modeling files compute it."""
import json

import numpy as np

import reference as ref
from checkpoints import save

HIDDEN, HEADS, KEY_HEADS, HEAD, WIDE, VOCABULARY, BLOCKS, EXPERTS = 256, 4, 2, 64, 512, 96, 2, 4
ROPE, EPSILON = 10000.0, 1e-5
TOKENS = [1, 5, 9, 33, 64, 95, 7, 2]


def config(model_type="llama", **more):
    """config.json of a model of the llama family."""
    values = {"model_type": model_type, "architectures": ["AnyForCausalLM"], "hidden_size": HIDDEN,
              "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS,
              "head_dim": HEAD, "intermediate_size": WIDE, "vocab_size": VOCABULARY, "hidden_act": "silu",
              "max_position_embeddings": 512, "rms_norm_eps": EPSILON, "rope_theta": ROPE,
              "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2}
    if model_type == "mixtral":
        values |= {"num_local_experts": EXPERTS, "num_experts_per_tok": 2}
    if model_type == "qwen3_moe":
        values |= {"num_experts": EXPERTS, "num_experts_per_tok": 2, "moe_intermediate_size": HIDDEN,
                   "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": []}
    return values | more


def weights(random, model_type="llama", tied=False):
    """{name: f32} of such a model."""
    def normal(*shape):
        return (random.standard_normal(shape) * .08).astype(np.float32)

    def norm(size):
        return (1 + .1 * random.standard_normal(size)).astype(np.float32)

    found = {"model.embed_tokens.weight": normal(VOCABULARY, HIDDEN), "model.norm.weight": norm(HIDDEN)}
    if not tied:
        found["lm_head.weight"] = normal(VOCABULARY, HIDDEN)
    for block in range(BLOCKS):
        one = {"self_attn.q_proj.weight": normal(HEADS * HEAD, HIDDEN),
               "self_attn.k_proj.weight": normal(KEY_HEADS * HEAD, HIDDEN),
               "self_attn.v_proj.weight": normal(KEY_HEADS * HEAD, HIDDEN),
               "self_attn.o_proj.weight": normal(HIDDEN, HEADS * HEAD),
               "input_layernorm.weight": norm(HIDDEN), "post_attention_layernorm.weight": norm(HIDDEN)}
        if model_type == "qwen2":
            one |= {f"self_attn.{part}_proj.bias": normal(heads * HEAD)
                    for part, heads in (("q", HEADS), ("k", KEY_HEADS), ("v", KEY_HEADS))}
        if model_type.startswith("qwen3"):
            one |= {"self_attn.q_norm.weight": norm(HEAD), "self_attn.k_norm.weight": norm(HEAD)}
        if model_type == "bitnet":
            one |= {"self_attn.attn_sub_norm.weight": norm(HIDDEN), "mlp.ffn_sub_norm.weight": norm(WIDE)}
        if model_type == "mixtral":
            one["block_sparse_moe.gate.weight"] = normal(EXPERTS, HIDDEN) * 10
            for expert in range(EXPERTS):
                one |= {f"block_sparse_moe.experts.{expert}.w{part}.weight": normal(*shape)
                        for part, shape in ((1, (WIDE, HIDDEN)), (2, (HIDDEN, WIDE)), (3, (WIDE, HIDDEN)))}
        elif model_type == "qwen3_moe":
            one["mlp.gate.weight"] = normal(EXPERTS, HIDDEN) * 10
            for expert in range(EXPERTS):
                one |= {f"mlp.experts.{expert}.{part}_proj.weight": normal(HIDDEN, HIDDEN)
                        for part in ("gate", "up", "down")}
        else:
            one |= {"mlp.gate_proj.weight": normal(WIDE, HIDDEN), "mlp.up_proj.weight": normal(WIDE, HIDDEN),
                    "mlp.down_proj.weight": normal(HIDDEN, WIDE)}
        found |= {f"model.layers.{block}.{name}": value for name, value in one.items()}
    return found


def folder(path, tensors, values, **texts):
    """Writes a folder: model.safetensors, config.json and other JSON files by their stem."""
    path.mkdir()
    save(path / "model.safetensors", tensors, {"format": "pt"})
    (path / "config.json").write_text(json.dumps(values))
    for name, content in texts.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def projected(tensors, group, halves):
    """The layers as t*s, with scales in f16 if `halves`."""
    found = dict(tensors)
    for name, value in tensors.items():
        if value.ndim == 2 and not name.endswith(("mlp.gate.weight", "moe.gate.weight")):
            codes, scales = ref.project(value, group)
            if halves:
                scales = scales.astype(np.float16)
            found[name] = (codes.reshape(-1, group) * scales.astype(np.float32).reshape(-1, 1)).reshape(value.shape)
    return found


# ---- forward -------------------------------------------------------------------------------


def _norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def _silu(x):
    return x / (1 + np.exp(-x))


def frequencies(values):
    """Turns of each pair of a head for one position."""
    size = values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]
    turns = values["rope_theta"] ** -(np.arange(0, size, 2) / size)
    scaling = values.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        turns = turns / scaling["factor"]
    if scaling.get("rope_type") == "llama3":
        context, wave = scaling["original_max_position_embeddings"], 2 * np.pi / turns
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        smooth = np.clip((context / wave - low) / (high - low), 0, 1)
        turns = (1 - smooth) * turns / scaling["factor"] + smooth * turns
    if scaling.get("rope_type") == "yarn":
        def pair(rotations):  # that turns so often within the original context
            context = scaling["original_max_position_embeddings"]
            return size * np.log(context / (rotations * 2 * np.pi)) / (2 * np.log(values["rope_theta"]))

        low = max(np.floor(pair(scaling.get("beta_fast", 32))), 0)
        high = min(np.ceil(pair(scaling.get("beta_slow", 1))), size - 1)
        share = 1 - np.clip((np.arange(size // 2) - low) / max(high - low, .001), 0, 1)
        turns = turns / scaling["factor"] * (1 - share) + turns * share
    return turns


def _rotate(x, values):
    """x: [tokens, heads, size]; the halves of a head are the pairs."""
    scaling = values.get("rope_scaling") or {}
    factor = .1 * np.log(scaling["factor"]) + 1 if scaling.get("rope_type") == "yarn" else 1
    angle = np.arange(x.shape[0])[:, None] * frequencies(values)[None]
    cos, sin = factor * np.cos(angle)[:, None], factor * np.sin(angle)[:, None]
    left, right = np.split(x, 2, axis=-1)
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


def _attention(x, get, values):
    heads, keys, size = values["num_attention_heads"], values["num_key_value_heads"], values["head_dim"]
    parts = {}
    for part, count in (("q", heads), ("k", keys), ("v", keys)):
        made = x @ get(f"self_attn.{part}_proj.weight").T + get(f"self_attn.{part}_proj.bias", 0)
        made = made.reshape(len(x), count, size)
        if part != "v":
            weight = get(f"self_attn.{part}_norm.weight", None)
            if weight is not None:
                made = _norm(made, weight, values["rms_norm_eps"])
            made = _rotate(made, values)
        parts[part] = made if part == "q" else np.repeat(made, heads // keys, axis=1)
    scores = np.einsum("ihd,jhd->hij", parts["q"], parts["k"]) / np.sqrt(size)
    scores = np.where(np.tril(np.ones(scores.shape[1:], bool)), scores, -np.inf)
    share = np.exp(scores - scores.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    found = np.einsum("hij,jhd->ihd", share, parts["v"]).reshape(len(x), heads * size)
    weight = get("self_attn.attn_sub_norm.weight", None)
    if weight is not None:
        found = _norm(found, weight, values["rms_norm_eps"])
    return found @ get("self_attn.o_proj.weight").T


def _mlp(x, get, stem, sub_norm=None, epsilon=0, names=("gate_proj", "up_proj", "down_proj")):
    gate, up, down = (get(f"{stem}.{name}.weight").T for name in names)
    made = _silu(x @ gate) * (x @ up)
    if sub_norm is not None:
        made = _norm(made, sub_norm, epsilon)
    return made @ down


def _experts(x, get, values):
    mixtral = values["model_type"] == "mixtral"
    stem, more = ("block_sparse_moe", {"names": ("w1", "w3", "w2")}) if mixtral else ("mlp", {})
    router = x @ get(f"{stem}.gate.weight").T
    share = np.exp(router - router.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    found = np.zeros_like(x)
    for row, one in enumerate(share):
        best = np.argsort(-one)[:values["num_experts_per_tok"]]
        for expert in best:
            found[row] += one[expert] / one[best].sum() * _mlp(x[row], get, f"{stem}.experts.{expert}", **more)
    return found


def logits(tensors, values, tokens):
    """Logits [tokens, vocabulary] in float64."""
    wide = {name: np.asarray(value, np.float64) for name, value in tensors.items()}
    x = wide["model.embed_tokens.weight"][tokens]
    for block in range(values["num_hidden_layers"]):
        def get(name, *default):
            return wide.get(f"model.layers.{block}.{name}", *default)

        x = x + _attention(_norm(x, get("input_layernorm.weight"), values["rms_norm_eps"]), get, values)
        after = _norm(x, get("post_attention_layernorm.weight"), values["rms_norm_eps"])
        if "num_experts_per_tok" in values:
            x = x + _experts(after, get, values)
        else:
            x = x + _mlp(after, get, "mlp", get("mlp.ffn_sub_norm.weight", None), values["rms_norm_eps"])
    head = wide.get("lm_head.weight", wide["model.embed_tokens.weight"])
    return _norm(x, wide["model.norm.weight"], values["rms_norm_eps"]) @ head.T
