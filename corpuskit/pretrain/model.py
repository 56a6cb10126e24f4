"""A Hugging Face model that reads packed sequences: attention stays in a document, and the head sees what is guessed.

Any masked or causal model of Transformers whose attention runs through PyTorch's ``scaled_dot_product_attention`` takes
a mask of (batch, 1, query, key). The output layer is the dearest part of a small model with a large vocabulary; it is
computed where something is to be guessed and nowhere else, which changes no loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from corpuskit.pretrain.config import PretrainConfig, PretrainError
from corpuskit.pretrain.stream import Special

try:
    import torch
    from safetensors import SafetensorError
    from torch import nn
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel
    from transformers import logging as transformers_logging
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
except ImportError as error:
    raise PretrainError(f"pretraining needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

#: Kinds of layers whose attention a mask decides.
_KINDS = {"full_attention", "sliding_attention"}


def special_of(tokenizer: Any, masked: bool) -> Special:
    """What stands around a document.

    Raises:
        PretrainError: the tokenizer lacks the tokens that the objective needs.
    """
    begin = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
    if masked and tokenizer.mask_token_id is None:
        raise PretrainError(f"{tokenizer.name_or_path}: the tokenizer has no mask token, and the objective is mlm")
    if pad is None:
        raise PretrainError(f"{tokenizer.name_or_path}: the tokenizer has no padding token and none that ends a text")
    return Special(begin, end, pad)


def load_model(config: PretrainConfig, tokenizer: Any) -> PreTrainedModel:
    """The model that a run starts with, in float32.

    Raises:
        PretrainError: it cannot be loaded, or does not fit the tokenizer, the objective or the length.
    """
    start, masked = config.start, config.objective != "causal"
    automatic = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    name = start.model or f"an architecture of {(start.architecture or {})['model_type']}"
    try:
        if start.model is not None:
            model, told = automatic.from_pretrained(
                start.model, revision=start.revision, dtype=torch.float32, attn_implementation="sdpa",
                output_loading_info=True,
            )  # fmt: skip
            if missing := sorted(told["missing_keys"]):
                raise PretrainError(
                    f"{name} lacks {missing[0]}{' and more' if missing[1:] else ''}: what was saved without its "
                    f"output layer cannot go on as a {'masked' if masked else 'causal'} model"
                )
        else:
            fields = dict(start.architecture or {})
            known = AutoConfig.for_model(fields.pop("model_type"), **(_fields_of(tokenizer) | fields))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                model = automatic.from_config(known, attn_implementation="sdpa")
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
        raise PretrainError(
            f"{name} cannot be loaded as a {'masked' if masked else 'causal'} model: {_first_line(error)}"
        ) from None
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise PretrainError(
            f"the tokenizer does not fit the model: it has {len(tokenizer):,} tokens, and {name} "
            f"{model.get_input_embeddings().num_embeddings:,}; give the tokenizer that the model was trained with"
        )
    if (limit := limit_of(model)) and config.data.sequence_length > limit:
        raise PretrainError(
            f"data.sequence_length: {config.data.sequence_length} is more than the {limit} tokens that {name} can read"
        )
    reach = getattr(model.config, "sliding_window", None)
    if (kinds := set(getattr(model.config, "layer_types", None) or [])) - _KINDS:
        raise PretrainError(
            f"{name} has layers of {', '.join(sorted(kinds - _KINDS))}: they would mix packed documents"
        )
    if reach and not is_encoder(model) and config.data.sequence_length > reach:
        raise PretrainError(
            f"data.sequence_length: {config.data.sequence_length} is more than the {reach} tokens {name} attends to"
        )
    if not masked and hasattr(model.config, "is_decoder"):
        model.config.is_decoder = True  # else what is saved would look ahead
    return model


def _fields_of(tokenizer: Any) -> dict[str, Any]:
    names = ("bos", "eos", "pad", "cls", "sep")
    told = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
    return {"vocab_size": len(tokenizer)} | {name: value for name, value in told.items() if value is not None}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def limit_of(model: PreTrainedModel) -> int | None:
    """The most tokens that a model can read, None where nothing limits it."""
    limit = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
    return None if limit is None else int(limit) - _shift(model)


def _shift(model: PreTrainedModel) -> int:
    """What positions begin at: behind that of padding, in models such as RoBERTa."""
    for name, module in model.base_model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return int(module.padding_idx) + 1
    return 0


def is_encoder(model: PreTrainedModel) -> bool:
    """Whether it is a masked model, or the body of one: it attends to both sides unless told."""
    if model.base_model is model:
        known = model.config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
        return known and not getattr(model.config, "is_decoder", False)
    return type(model).__name__ in MODEL_FOR_MASKED_LM_MAPPING_NAMES.values()


class Body(nn.Module):
    """The layers below the head, over packed sequences.

    Args:
        model: of Transformers, with a head or without.
        layers: those of the model where they are to be called in another way, such as compiled.

    Raises:
        PretrainError: it has layers of which it is not known how to keep packed documents apart.
    """

    def __init__(self, model: PreTrainedModel, layers: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self._layers: Callable[..., Any] = model.base_model if layers is None else layers
        self._shift, self._window = _shift(model), _window(model)
        # A cache of keys and values is of no use here.
        self._options = {} if is_encoder(model) else {"use_cache": False}

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, document: torch.Tensor, causal: bool, **more: torch.Tensor
    ) -> torch.Tensor:
        """The states of the last layer, (sequences, places, width).

        Args:
            ids: (sequences, places).
            positions: (sequences, places), from 0 in each document.
            document: (sequences, places), -1 at padding.
            causal: attention goes back only.
            more: what else the model takes, such as ``token_type_ids``.
        """
        attention = attention_mask(document, causal)
        if self._shift:
            positions = torch.where(document >= 0, positions + self._shift, self._shift - 1)
        mask: Any = attention
        if self._window is not None:
            mask = {"full_attention": attention, "sliding_attention": _within(attention, self._window)}
        read = self._layers(input_ids=ids, attention_mask=mask, position_ids=positions, **more, **self._options)
        states: torch.Tensor = read[0]
        return states


class Packed(nn.Module):
    """A model over packed sequences; its output is the summed loss of what is to be guessed.

    Args:
        model: a masked or causal model of Transformers.
        compile: compile the body, whose shapes are always the same.

    Raises:
        PretrainError: its output layer is not found.
    """

    def __init__(self, model: PreTrainedModel, compile: bool = False) -> None:
        super().__init__()
        self.model = model
        body = model.base_model
        if body is model:
            raise PretrainError(f"{type(model).__name__}: a model without a body of its own cannot be trained here")
        self._head = _head(model)
        self._body = Body(model, torch.compile(body) if compile else None)

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        document: torch.Tensor,
        places: torch.Tensor,
        targets: torch.Tensor,
        causal: bool,
    ) -> torch.Tensor:
        """The sum of the cross-entropy, in nats.

        Args:
            ids: (sequences, places).
            positions: (sequences, places), from 0 in each document.
            document: (sequences, places), -1 at padding.
            places: flat, what is to be guessed (or guessed from).
            targets: the ids.
            causal: attention goes back only.
        """
        logits = self.logits(ids, positions, document, places, causal)
        return nn.functional.cross_entropy(logits.float(), targets, reduction="sum")

    def logits(
        self, ids: torch.Tensor, positions: torch.Tensor, document: torch.Tensor, places: torch.Tensor, causal: bool
    ) -> torch.Tensor:
        """The logits at some places, shape (places, vocabulary)."""
        states = self._body(ids, positions, document, causal)
        found: torch.Tensor = self._head(states.flatten(0, 1)[places])
        return found


def attention_mask(document: torch.Tensor, causal: bool) -> torch.Tensor:
    """Who may look at whom: shape (sequences, 1, places, places), True within a document.

    Padding looks at itself, so that no row is empty.
    """
    same = document[:, :, None] == document[:, None, :]
    if causal:
        same = same & torch.ones(same.shape[1:], dtype=torch.bool, device=same.device).tril()
    return same[:, None]


def _within(attention: torch.Tensor, window: int) -> torch.Tensor:
    places = torch.arange(attention.shape[-1], device=attention.device)
    return attention & ((places[:, None] - places[None, :]).abs() <= window)


def _window(model: PreTrainedModel) -> int | None:
    """How far attention reaches in the layers of an encoder that look around themselves (ModernBERT)."""
    kinds = set(getattr(model.config, "layer_types", None) or [])
    if "sliding_attention" not in kinds or not is_encoder(model):
        return None
    if model.config.model_type != "modernbert":
        raise PretrainError(
            f"{model.config.model_type}: sliding attention over packed documents is known of modernbert only"
        )
    # Across versions of Transformers: the reach to one side, or a window to both.
    reach = getattr(model.config, "sliding_window", None)
    return int(reach if reach is not None else model.config.local_attention // 2)


def _head(model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """From states to logits, by the names that architectures have for it."""
    head: Any
    if (head := getattr(model, "lm_head", None)) is not None:
        cap = getattr(model.config, "final_logit_softcapping", None)
        scale = (
            1 / (getattr(model.config, "logits_scaling", None) or 1) * (getattr(model.config, "logit_scale", None) or 1)
        )
        if cap:
            return lambda states: torch.tanh(head(states) / cap) * cap
        return head if scale == 1 else lambda states: head(states) * scale
    if (head := getattr(model, "cls", None)) is not None:
        return cast(Callable[..., Any], head)
    if (head := getattr(model, "head", None)) is not None:
        decoder: Any = model.decoder
        return lambda states: decoder(head(states))
    raise PretrainError(f"{type(model).__name__}: its output layer is not one of those known here (lm_head, cls, head)")
