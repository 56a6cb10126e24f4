"""Packed sequences give the loss that their documents have alone, with every kind of model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from corpuskit.pretrain.config import PretrainError
from corpuskit.pretrain.model import Packed, attention_mask, limit_of

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 130, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0,
    "sep_token_id": 2,
}  # fmt: skip
MASKED = {
    "camembert": {}, "roberta": {}, "bert": {}, "xlm-roberta": {},
    # A window that is shorter than a document.
    "modernbert": {"local_attention": 8, "num_hidden_layers": 3, "global_attn_every_n_layers": 3},
}  # fmt: skip
CAUSAL = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 130},
    "llama": {},
    "mistral": {"num_key_value_heads": 1},
    "qwen2": {"num_key_value_heads": 1},
}
#: Lengths of documents in each of two sequences of 64.
DOCUMENTS = [[20, 31, 9], [64]]


def model_of(kind: str, causal: bool = False) -> Any:
    torch.manual_seed(3)
    known = AutoConfig.for_model(kind, **(SIZES | (CAUSAL if causal else MASKED)[kind]))
    automatic = AutoModelForCausalLM if causal else AutoModelForMaskedLM
    return automatic.from_config(known, attn_implementation="sdpa").eval()


def packed_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = np.random.default_rng(5)
    ids, positions, document = np.full((2, 64), 1), np.zeros((2, 64), np.int64), np.full((2, 64), -1)
    for row, lengths in enumerate(DOCUMENTS):
        at = 0
        for number, length in enumerate(lengths):
            ids[row, at : at + length] = chance.integers(5, 60, length)
            positions[row, at : at + length], document[row, at : at + length] = np.arange(length), number
            at += length
    return torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(document)


def alone(ids: torch.Tensor, document: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each document by itself, and its flat places in the batch."""
    found = []
    for row in range(len(ids)):
        for number in range(int(document[row].max()) + 1):
            places = torch.nonzero(document[row] == number).flatten()
            found.append((ids[row, places][None], places + row * ids.shape[1]))
    return found


@pytest.mark.parametrize("kind", MASKED)
def test_a_masked_model_loses_the_same_packed_as_alone(kind: str) -> None:
    model = model_of(kind)
    ids, positions, document = packed_batch()
    places = torch.nonzero((document.flatten() >= 0) & (torch.arange(128) % 3 == 0)).flatten()
    targets = torch.arange(len(places)) % 55 + 5
    labels = torch.full((128,), -100)
    labels[places] = targets
    with torch.no_grad():
        together = Packed(model)(ids, positions, document, places, targets, False)
        apart = [
            torch.nn.functional.cross_entropy(model(one).logits[0], labels[where], reduction="sum")
            for one, where in alone(ids, document)
        ]
    assert together.item() == pytest.approx(sum(apart).item(), rel=1e-5)


@pytest.mark.parametrize("kind", [*CAUSAL, "camembert"])
def test_a_causal_model_loses_the_same_packed_as_alone(kind: str) -> None:
    model = model_of(kind, causal=kind in CAUSAL)
    if kind == "camembert":  # an encoder in its causal phase reads as a decoder does
        decoder = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(kind, **SIZES, is_decoder=True), attn_implementation="sdpa"
        ).eval()
        decoder.load_state_dict(model.state_dict(), strict=False)
        decoder.tie_weights()
    else:
        decoder = model
    ids, positions, document = packed_batch()
    same = (document[:, 1:] == document[:, :-1]) & (document[:, 1:] >= 0)
    places = torch.nonzero(torch.nn.functional.pad(same, (0, 1)).flatten()).flatten()
    targets = ids.flatten()[places + 1]
    with torch.no_grad():
        together = Packed(model)(ids, positions, document, places, targets, True)
        apart = sum(
            torch.nn.functional.cross_entropy(decoder(one).logits[0, :-1], one[0, 1:], reduction="sum")
            for one, _ in alone(ids, document)
        )
    assert together.item() == pytest.approx(float(apart), rel=1e-5)


def test_what_stands_in_one_document_does_not_touch_another() -> None:
    model = Packed(model_of("camembert"))
    ids, positions, document = packed_batch()
    places = torch.nonzero(document[0] == 0).flatten()
    changed = ids.clone()
    changed[0, 20:] = 7
    with torch.no_grad():
        one, other = (model.logits(some, positions, document, places, False) for some in (ids, changed))
    assert torch.equal(one, other)


def test_who_may_look_at_whom() -> None:
    document = torch.tensor([[0, 0, 1, -1]])
    assert attention_mask(document, False)[0, 0].int().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    assert attention_mask(document, True)[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]


def test_gradients_are_those_of_the_documents_alone() -> None:
    model = model_of("camembert")
    ids, positions, document = packed_batch()
    places = torch.nonzero(document.flatten() >= 0).flatten()[::4]
    targets = ids.flatten()[places]
    Packed(model)(ids, positions, document, places, targets, False).backward()
    together = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    labels = torch.full((128,), -100)
    labels[places] = targets
    for one, where in alone(ids, document):
        torch.nn.functional.cross_entropy(model(one).logits[0], labels[where], reduction="sum").backward()
    assert torch.allclose(together, model.get_input_embeddings().weight.grad, atol=1e-5)


def test_the_limit_of_a_model_whose_positions_begin_after_the_padding() -> None:
    assert limit_of(model_of("camembert")) == 128
    assert limit_of(model_of("bert")) == 130


def test_a_model_whose_head_is_not_known_is_refused() -> None:
    model = model_of("camembert")
    model.head_of_another_name = model.lm_head
    del model.lm_head
    with pytest.raises(PretrainError, match="its output layer is not one of those known here"):
        Packed(model)
