# SPDX-License-Identifier: Apache-2.0
"""Folders of sharded safetensors, written as transformers does."""
import json

from checkpoints import load, save

INDEX = "model.safetensors.index.json"


def shard_name(number, count):
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def save_folder(folder, shards, config=None, index=True, weight_map=None):
    """`shards`: the tensors of each file (None: the file is missing and not in the index).
    `weight_map`: additional or changed entries of the index; None removes an entry."""
    folder.mkdir(parents=True, exist_ok=True)
    promised = {}
    for number, tensors in enumerate(shards, 1):
        name = shard_name(number, len(shards))
        if tensors is not None:
            save(folder / name, tensors, {"format": "pt"})
            promised.update({tensor: name for tensor in tensors})
    promised.update(weight_map or {})
    promised = {name: file for name, file in promised.items() if file is not None}
    if index:
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": promised})
        (folder / INDEX).write_text(text)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))


def load_folder(folder):
    """All tensors of all safetensors files."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(load(path))
    return tensors
