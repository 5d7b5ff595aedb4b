# SPDX-License-Identifier: Apache-2.0
"""trit.transformers and trit.lightning with the trainers of these libraries. Models are made
from a config; nothing is downloaded. Where a library is missing its tests are skipped."""

import dataclasses
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402

STEPS = 6
IDS = torch.arange(24).reshape(4, 6)


@pytest.fixture
def transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return pytest.importorskip("transformers")


@pytest.fixture
def lightning(monkeypatch):
    """Lightning. It imports a module of torch 1.13 that Python 3.11 refuses, because a dataclass
    there has a default that cannot be hashed."""
    plain = dataclasses.dataclass

    def lenient(cls=None, **options):
        if getattr(cls, "__name__", "") == "TensorProperties":
            options["unsafe_hash"] = True
        return plain(cls, **options)

    monkeypatch.setattr(dataclasses, "dataclass", lenient)
    try:
        import lightning.pytorch as found
    except ImportError:
        found = pytest.importorskip("pytorch_lightning")
    return found


def llama(transformers, tied=False):
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=96,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=tied,
    )
    return transformers.LlamaForCausalLM(config)


def gpt2(transformers):
    torch.manual_seed(6)
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_layer=1,
            n_embd=96,
            n_head=2,
            vocab_size=32,
            n_positions=16,
            attn_pdrop=0,
            embd_pdrop=0,
            resid_pdrop=0,
        )  # fmt: skip
    )


GPT2_LAYERS = {
    f"transformer.h.0.{name}" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
}
PROJECTIONS = {
    f"model.layers.{i}.{name}"
    for i in range(2)
    for name in (
        *(f"self_attn.{one}_proj" for one in "qkvo"),
        *(f"mlp.{one}_proj" for one in ("gate", "up", "down")),
    )
}


# The libraries are imported only when they are used.
def test_nothing_is_imported_before_it_is_used():
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, trit, trit.torch; "
            "assert not {'transformers', 'lightning', 'pytorch_lightning'} & set(sys.modules)",
        ],
        check=True,
        timeout=300,
    )


# Linear layers of the blocks are ternary; embedding and head are if asked, tied ones together.
@pytest.mark.parametrize("tied", [False, True])
def test_convert_keeps_embedding_and_head(transformers, tied):
    import trit.transformers as hf

    ends = {"model.embed_tokens", "lm_head"}
    model = hf.convert(llama(transformers, tied))
    assert set(model.trit_conversion.converted) == PROJECTIONS
    assert set(model.trit_conversion.skipped) == ends
    for options in ({"embeddings": True}, {"head": True}, {"embeddings": True, "head": True}):
        wanted = {"model.embed_tokens" if name == "embeddings" else "lm_head" for name in options}
        model = hf.convert(llama(transformers, tied), **options)
        assert set(model.trit_conversion.converted) == PROJECTIONS | (ends if tied else wanted)
    model = hf.convert(llama(transformers), include="*.q_proj", exclude="model.layers.0.*")
    assert model.trit_conversion.converted == ("model.layers.1.self_attn.q_proj",)
    with pytest.raises(trit.InvalidType):
        hf.convert(nn.Linear(4, 4))
    with pytest.raises(trit.InvalidArgument, match="matches no module"):
        hf.convert(llama(transformers), exclude="head")


# Positions and router gates stay.
def test_convert_names_what_it_leaves(transformers):
    import trit.transformers as hf

    model = hf.convert(gpt2(transformers), head=True)
    ends = {"transformer.wte", "lm_head"}
    assert set(model.trit_conversion.converted) == GPT2_LAYERS | ends
    assert "excluded" in model.trit_conversion.skipped["transformer.wpe"]
    config = transformers.MixtralConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=2,
    )
    model = hf.convert(transformers.MixtralForCausalLM(config))
    assert any(name.endswith(".gate") for name in model.trit_conversion.skipped)
    assert not any(name.endswith(".gate") for name in model.trit_conversion.converted)


# The Conv1D layers of GPT-2, whose weights are [in, out], are ternary along their inputs: by
# RPC and without a daemon to the same bits, for whoever multiplies by the weight.
def test_gpt2_is_ternary(transformers, client, run):
    import trit.transformers as hf

    logits = []
    for one in (client, None):
        model = hf.convert(gpt2(transformers), client=one)
        assert set(model.trit_conversion.converted) == GPT2_LAYERS
        optimizer = torch.optim.AdamW(model.parameters(), 0.01)
        for _ in range(2):
            optimizer.zero_grad()
            model(IDS, labels=IDS).loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits.append(model(IDS).logits)
    assert torch.equal(*logits)
    layer = model.transformer.h[0].mlp.c_fc
    latent = layer.weight.detach().clone().as_subclass(torch.Tensor)
    ternary = tt.project_local(latent.t().contiguous()).t()
    assert layer.weight.shape == (96, 384) and torch.equal(layer.ternary_weight(), ternary)
    x = torch.randn(3, 96)
    assert torch.equal(x @ layer.weight, x @ ternary)
    assert "TernaryConv1D(96, 384, group_size=128)" in repr(model)
    reports = tt.verify_ternary_weights(model, client, run=run)
    assert set(reports) == GPT2_LAYERS and all(one["is_ternary"] for one in reports.values())
    with torch.no_grad():
        layer.weight[5, 7] = float("nan")
    with pytest.raises(trit.InvalidArgument, match=r"mlp\.c_fc\.weight: 1 of .* index 1927"):
        model(IDS)


# A file of a converted GPT-2 gives the same outputs in a model that is converted or plain, and
# so does the copy of ordinary layers.
@pytest.mark.parametrize("by_rpc", [True, False])
@pytest.mark.parametrize("encoding", ["dense", "int8"])
def test_gpt2_as_a_file(transformers, client, tmp_path, encoding, by_rpc):
    import trit.transformers as hf

    def logits(model):
        with torch.no_grad():
            return model(IDS).logits

    model = hf.convert(gpt2(transformers), client=client if by_rpc else None)
    expected = logits(model)
    assert torch.equal(logits(tt.materialize(model)), expected)
    tt.export(model, tmp_path / "gpt2.safetensors", encoding=encoding)
    found = client.checkpoint.verify(
        tmp_path / "gpt2.safetensors", exclude=["*wte*", "*lm_head*"], transposed="*.c_*.weight"
    )
    assert found.verdict == "pass" and len(found.layers) == 4
    torch.manual_seed(8)
    for other in (gpt2(transformers), hf.convert(gpt2(transformers))):
        for one in other.parameters():
            torch.nn.init.zeros_(one)
        assert torch.equal(logits(tt.load(other, tmp_path / "gpt2.safetensors")), expected)


class Text(torch.utils.data.Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, i):
        ids = (torch.arange(6) * 5 + i) % 32
        return {"input_ids": ids, "labels": ids}


def trained(transformers, folder, client, callbacks):
    import trit.transformers as hf

    model = hf.convert(llama(transformers), client=client)
    arguments = transformers.TrainingArguments(
        str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        learning_rate=0.01,
        save_steps=STEPS,
        report_to=[],
        disable_tqdm=True,
        seed=3,
    )
    transformers.Trainer(model, arguments, train_dataset=Text(), callbacks=callbacks).train()
    return model


# A Trainer trains by RPC as without a daemon, bit for bit. The callback stores reports, and
# what the Trainer saved is loaded again.
def test_a_trainer_of_transformers(transformers, client, run, tmp_path):
    import trit.transformers as hf

    seen = []
    verifying = hf.VerifyCallback(
        run, every=2, client=client, callback=lambda step, _: seen.append(step), strict=True
    )
    by_rpc = trained(transformers, tmp_path / "rpc", client, [verifying])
    local = trained(transformers, tmp_path / "local", None, [])
    for (name, one), other in zip(by_rpc.named_parameters(), local.parameters()):
        assert torch.equal(one, other), name
    assert seen == [2, 4, 6] and sorted(verifying.verifying.history) == seen
    assert set(verifying.verifying.history[6]) == PROJECTIONS
    assert [one.step for one in client.reports.list(run, "model.layers.0.mlp.up_proj")] == seen
    folder = tmp_path / "rpc" / f"checkpoint-{STEPS}"
    again = hf.convert(transformers.LlamaForCausalLM.from_pretrained(folder))
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, local.eval()(IDS).logits)
        assert torch.equal(
            by_rpc.generate(IDS[:1], do_sample=False, max_new_tokens=4, pad_token_id=0),
            tt.materialize(local).generate(
                IDS[:1], do_sample=False, max_new_tokens=4, pad_token_id=0
            ),
        )


# A daemon that is not there ends no training.
def test_callbacks_end_no_training(transformers, tmp_path):
    import trit.transformers as hf

    with trit.Client("127.0.0.1:1", timeout=60) as nobody:
        verifying = hf.VerifyCallback("run", every=2, client=nobody)
        trained(transformers, tmp_path, None, [verifying])
    assert verifying.verifying.failures == {"UNAVAILABLE": 3}


# A Trainer of Lightning stores reports at steps of the optimizer, not of batches.
def test_a_trainer_of_lightning(lightning, client, run, tmp_path):
    import trit.lightning

    class Module(lightning.LightningModule):
        def __init__(self, client):
            super().__init__()
            torch.manual_seed(1)
            self.model = tt.convert(
                nn.Sequential(nn.Linear(100, 32), nn.ReLU(), nn.Linear(32, 4)), client=client
            )

        def training_step(self, batch, _):
            return self.model(batch[0]).square().mean()

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), 0.01)

    draw = torch.Generator().manual_seed(2)
    batches = [(torch.randn(3, 100, generator=draw),) for _ in range(2 * STEPS)]
    verifying = trit.lightning.VerifyCallback(run, every=3, client=client, strict=True)
    made = []
    for one, callbacks in ((client, [verifying]), (None, [])):
        module = Module(one)
        lightning.Trainer(
            max_epochs=1,
            accumulate_grad_batches=2,
            accelerator="cpu",
            devices=1,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        ).fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
        made.append(module.state_dict())
    for name, one in made[0].items():
        assert torch.equal(one, made[1][name]), name
    assert sorted(verifying.verifying.history) == [3, 6]
    assert [one.step for one in client.reports.list(run, "model.0")] == [3, 6]
