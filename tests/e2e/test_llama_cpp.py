# SPDX-License-Identifier: Apache-2.0
"""llama.cpp loads GGUF files that trit makes of folders of transformers, and computes what NumPy
computes with t*s. `make test-llama` builds llama-cpp-python and runs this; elsewhere it is skipped."""
import json

import numpy as np
import pytest

import transformers_models as models
from tritd import cli

llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (make test-llama)")
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}


def made(daemon, tmp_path, tensors, values, *options, **texts):
    folder = models.folder(tmp_path / "m", tensors, values, **texts)
    done = cli(daemon, "project", folder, "-o", tmp_path / "o.gguf", *options)
    assert done.returncode == 0 and "a model for llama.cpp" in done.stdout, done.stderr
    return str(tmp_path / "o.gguf")


@pytest.mark.parametrize("kind,encoding,group,more", [
    ("llama", "dense", 128, {}), ("llama", "tq2_0", 256, {}), ("llama", "tq1_0", 256, {}), ("llama", "q2_0", 64, {}),
    ("llama", "dense", 128, {"tie_word_embeddings": True}), ("llama", "dense", 128, {"rope_scaling": LLAMA3}),
    ("llama", "dense", 128, {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}), ("qwen2", "dense", 128, {}),
    ("qwen2", "tq2_0", 256, {}), ("qwen3", "tq2_0", 256, {}), ("qwen3_moe", "tq2_0", 256, {}),
    ("qwen3_moe", "dense", 128, {}), ("mixtral", "dense", 128, {}),
    ("llama", "dense", 128, {"rope_scaling": YARN}), ("bitnet", "tq2_0", 256, {"tie_word_embeddings": True})])
def test_logits(daemon, random, tmp_path, kind, encoding, group, more):
    """llama.cpp's logits are within 2 % of their range of NumPy's over t*f16(s), dense ones within 1 %."""
    values = models.config(kind, **more)
    tensors = models.weights(random, kind, values["tie_word_embeddings"])
    path = made(daemon, tmp_path, tensors, values, "-e", encoding, "-g", str(group))
    model = llama_cpp.Llama(path, n_ctx=64, n_batch=64, n_threads=1, logits_all=True, verbose=False)
    model.eval(models.TOKENS)
    expected = models.logits(models.projected(tensors, group, encoding != "dense"), values, models.TOKENS)
    apart = np.abs(np.array(model.scores[:len(models.TOKENS)]) - expected).max()
    assert apart < (.01 if encoding == "dense" else .02) * np.ptp(expected)


SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = ["hello world", "It's 12345 weights, isn't it?", "\u4e2d\u6587 \u00e4rger\n\n  two  spaces", "a\tb\r\n",
         "x <think> y", "The daemon's store \u2014 3.14"]


def trained(kind):
    """A tokenizer of the kind, trained on these texts and a few more words."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (make test-llama)")
    steps, decoders = tokenizers.pre_tokenizers, tokenizers.decoders
    text = " ".join(TEXTS) * 3 + " the store of the daemon keeps weights and the weights of the store"
    if kind == "spm":
        made = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        made.normalizer = tokenizers.normalizers.Sequence([
            tokenizers.normalizers.Prepend("\u2581"), tokenizers.normalizers.Replace(" ", "\u2581")])
        special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
        made.train_from_iterator([text.replace("\u4e2d", "")],
                                 tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=special))
        found = json.loads(made.to_str())
        found["added_tokens"] = [one for one in found["added_tokens"] if not one["content"].startswith("<0x")]
        first = "<s>"
    else:
        made = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=kind == "llama-bpe"))
        split = SPLIT if kind == "llama-bpe" else SPLIT.replace("{1,3}", "")
        made.pre_tokenizer = steps.ByteLevel(add_prefix_space=False) if kind == "gpt-2" else steps.Sequence([
            steps.Split(tokenizers.Regex(split), "isolated"), steps.ByteLevel(add_prefix_space=False, use_regex=False)])
        made.decoder = decoders.ByteLevel()
        made.train_from_iterator([text], tokenizers.trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<|bos|>", "</s>"], initial_alphabet=steps.ByteLevel.alphabet()))
        made.add_tokens(["<think>"])
        found = json.loads(made.to_str())
        first = "<|bos|>"
    found["post_processor"] = {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": first, "type_id": 0}},
                                                 {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {first: {"id": first, "ids": [made.token_to_id(first)], "tokens": [first]}}}
    return tokenizers.Tokenizer.from_str(json.dumps(found)), found, {"bos_token": first, "eos_token": "</s>"}


@pytest.mark.parametrize("kind", ["gpt-2", "llama-bpe", "qwen2", "spm"])
def test_tokens(daemon, random, tmp_path, kind):
    """llama.cpp splits texts into the tokens that Hugging Face's tokenizers gives."""
    tokenizer, found, config = trained(kind)
    tensors = models.weights(random, tied=True)
    tensors["model.embed_tokens.weight"] = random.standard_normal((512, models.HIDDEN)).astype(np.float32)
    path = made(daemon, tmp_path, tensors, models.config(vocab_size=512, tie_word_embeddings=True),
                tokenizer=found, tokenizer_config=config)
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    assert model.metadata["tokenizer.ggml.pre"] == ("default" if kind == "spm" else kind)
    assert model.token_bos() == tokenizer.token_to_id(config["bos_token"])
    for text in TEXTS:
        assert model.tokenize(text.encode(), special=True) == tokenizer.encode(text).ids, text
