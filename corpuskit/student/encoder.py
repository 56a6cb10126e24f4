"""The strong student: an encoder of Hugging Face with one linear head a field on the mean of its states.

After Biomed-Enriched (cross-entropy for labels, squared error for scores), with the teacher's distributions in place
of its answers where they are known. Trained in bfloat16 on a GPU, in single precision on a processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpuskit.steps import StepOptions
from corpuskit.student.heads import Head, StudentError, Target, width

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
    from transformers import logging as transformers_logging
except ImportError as error:
    raise StudentError(
        f"an encoder needs PyTorch and Transformers ({error}): pip install 'corpuskit-fr[train]'"
    ) from None

Array = npt.NDArray[Any]

#: Keeps a GPU busy and its memory free.
BATCH_TOKENS = 32_768
HEADS, OPTIONS = "heads.safetensors", "encoder.json"
#: Batches whose texts are sorted by length together: within them padding is scarce, among them chance has its say.
_POOL = 50
#: Encoders whose positions are counted from the padding token on.
_SHIFTED = ("roberta", "camembert", "longformer")


class EncoderOptions(StepOptions):
    """How an encoder is trained and read with."""

    max_length: int = Field(512, ge=8, description="tokens of a paragraph; what is longer is cut, and counted")
    batch: int = Field(32, ge=1, description="paragraphs of a step of training")
    learning_rate: float = Field(3e-5, gt=0, description="of AdamW, at its highest")
    head_learning_rate: float = Field(1e-3, gt=0, description="of the heads, which start from nothing")
    epochs: int = Field(4, ge=1, description="times through the paragraphs, at most")
    checks: int = Field(2, ge=1, description="looks at the articles set aside, an epoch")
    patience: int = Field(3, ge=1, description="looks without a gain after which training stops")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, on matrices")
    clip: float = Field(1.0, gt=0, description="length that a gradient is cut to")
    score_error: float = Field(1.0, ge=0, description="weight of the squared error of a mean, beside cross-entropy")


class Encoder:
    """A trained encoder student.

    Args:
        model: the encoder.
        tokenizer: its own.
        matrix: the heads, from states to the logits of all of them.
        options: how it was trained.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        matrix: torch.nn.Linear,
        options: EncoderOptions,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model, self.matrix = model.to(self.device), matrix.to(self.device)
        self.tokenizer, self.options = tokenizer, options
        #: Whether it computes in bfloat16.
        self.half = self.device.type == "cuda"
        self.limit = _limit(model, tokenizer, options)
        #: Tokens of a batch that is read without learning, padding included.
        self.batch_tokens = BATCH_TOKENS
        #: Texts that were cut to be read, since it was loaded.
        self.truncated = 0

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, cut where they are too long."""
        # One more than fits tells whether something was cut.
        long: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.limit + 1)["input_ids"]
        cut = [place for place, ids in enumerate(long) if len(ids) > self.limit]
        self.truncated += len(cut)
        for place in cut:
            long[place] = self.tokenizer(texts[place], truncation=True, max_length=self.limit)["input_ids"]
        return long

    def forward(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logits of all heads of a batch, shape (texts, classes of all heads), float32."""
        longest = max(map(len, ids))
        padding = self.tokenizer.pad_token_id
        tokens = torch.tensor([[*one, *[padding] * (longest - len(one))] for one in ids], device=self.device)
        lengths = torch.tensor([len(one) for one in ids], device=self.device)
        mask = torch.arange(longest, device=self.device)[None, :] < lengths[:, None]
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            states = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        states = states.float() * mask[:, :, None]
        logits: torch.Tensor = self.matrix(states.sum(dim=1) / lengths[:, None])
        return logits

    def logits(self, texts: Sequence[str]) -> Array:
        """The logits of all heads, shape (texts, classes of all heads), float32; like lengths are read together."""
        ids = self.ids(texts)
        found = np.empty((len(texts), self.matrix.out_features), np.float32)
        self.model.eval()
        with torch.inference_mode():
            for places in _by_length(ids, self.batch_tokens):
                found[places] = self.forward([ids[place] for place in places]).cpu().numpy()
        return found

    def save(self, folder: Path) -> None:
        """Write a folder that Transformers opens as the encoder it is, and the heads beside it."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file({name: value.cpu().contiguous() for name, value in self.matrix.state_dict().items()}, folder / HEADS)
        (folder / OPTIONS).write_text(self.options.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, place: int = 0) -> Encoder:
        """Read what :meth:`save` wrote.

        Args:
            folder: where.
            place: which GPU, where there are some, counted round.

        Raises:
            StudentError: it is not there, or something else.
        """
        try:
            options = EncoderOptions.model_validate_json((folder / OPTIONS).read_bytes())
            weights = load_file(folder / HEADS)
            model, tokenizer = _pretrained(str(folder))
            matrix = torch.nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
            matrix.load_state_dict(weights)
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise StudentError(f"{folder} is no encoder student: {error}") from None
        device = torch.device("cuda", place % torch.cuda.device_count()) if torch.cuda.is_available() else None
        return cls(model, tokenizer, matrix, options, device)


def _pretrained(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(name)
    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer has no padding token")
    return AutoModel.from_pretrained(name, config=config), tokenizer


def _limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: EncoderOptions) -> int:
    """Tokens that the encoder can take at once."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or options.max_length
    if any(name in config.model_type for name in _SHIFTED):
        positions -= (config.pad_token_id or 0) + 1
    return int(min(options.max_length, positions, tokenizer.model_max_length))


def train(
    name: str,
    texts: Sequence[str],
    parts: Array,
    heads: Sequence[Head],
    targets: Sequence[Target],
    options: EncoderOptions,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Encoder, dict[str, Any]]:
    """Train an encoder student.

    Args:
        name: of the encoder on the Hugging Face hub, or its folder.
        texts: the paragraphs.
        parts: 0 for those that train, 1 for those that say when to stop, shape (texts,).
        heads: the fields.
        targets: what the teacher said of each.
        options: how.
        seed: of the order of the paragraphs and the first weights of the heads.
        tell: called with a line at each look.

    Returns:
        The student at its best look, and what training came to.

    Raises:
        StudentError: there is no such encoder, or the loss is no number any more.
    """
    torch.manual_seed(seed)
    try:
        model, tokenizer = _pretrained(name)
    except (OSError, ValueError) as error:
        raise StudentError(f"{name} is no encoder that can be loaded: {error}") from None
    matrix = torch.nn.Linear(model.config.hidden_size, width(heads))
    torch.nn.init.normal_(matrix.weight, std=0.02)
    torch.nn.init.zeros_(matrix.bias)
    student = Encoder(model, tokenizer, matrix, options)
    ids = student.ids(texts)
    told: dict[str, Any] = {"truncated": student.truncated, "max_length": student.limit, "looks": []}
    student.truncated = 0
    goals = torch.from_numpy(np.concatenate([target.shares for target in targets], axis=1))
    learning, held = (np.flatnonzero(parts == part) for part in (0, 1))
    steps = math.ceil(len(learning) / options.batch) * options.epochs
    every = max(1, steps // (options.epochs * options.checks))
    optimizer, schedule = _optimizer(student, steps)
    best, best_at, step = math.inf, 0, 0
    kept: dict[str, torch.Tensor] = {}
    chance = np.random.default_rng(seed)
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    for _ in range(options.epochs):
        for places in _batches(learning, lengths, options.batch, chance):
            model.train()
            loss = _loss(student.forward([ids[place] for place in places]), goals[places], heads, options)
            if not torch.isfinite(loss):
                raise StudentError(f"step {step}: the loss is {loss.item()}; try a lower learning rate")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*model.parameters(), *matrix.parameters()], options.clip)
            optimizer.step()
            schedule.step()
            step += 1
            if step % every and step != steps:
                continue
            surprise = _held_out(student, ids, held, goals, heads)
            told["looks"].append({"step": step, "dev_loss": surprise})
            tell(f"step {step} of {steps}: loss {loss.item():.4f}, on the articles set aside {surprise:.4f}")
            if surprise < best:
                best, best_at = surprise, len(told["looks"])
                kept = {
                    f"{part}.{name}": value.detach().cpu().clone()
                    for part, module in (("model", model), ("matrix", matrix))
                    for name, value in module.state_dict().items()
                }
            elif len(told["looks"]) - best_at >= options.patience:
                break
        else:
            continue
        break
    if not kept:
        raise StudentError("training came to nothing: the loss on the articles set aside was never a number")
    for part, module in (("model", model), ("matrix", matrix)):
        module.load_state_dict(
            {name.removeprefix(f"{part}."): value for name, value in kept.items() if name.startswith(f"{part}.")}
        )
    return student, told | {"steps": step, "dev_loss": best, "device": str(student.device)}


def _optimizer(student: Encoder, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW (Loshchilov and Hutter 2019) with a rate that rises and then falls to nothing in straight lines."""
    options = student.options
    parameters = [value for value in student.model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "lr": options.learning_rate},
        {"params": [value for value in parameters if value.ndim < 2], "lr": options.learning_rate, "weight_decay": 0.0},
        {"params": list(student.matrix.parameters()), "lr": options.head_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=options.weight_decay)
    rising = max(1, round(options.warmup * steps))

    def rate(step: int) -> float:
        return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def _batches(places: Array, lengths: Array, batch: int, chance: np.random.Generator) -> Iterator[Array]:
    """All places in batches of like lengths, in an order of chance."""
    places = chance.permutation(places)
    for at in range(0, len(places), batch * _POOL):
        pool = places[at : at + batch * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        some = [pool[start : start + batch] for start in range(0, len(pool), batch)]
        for number in chance.permutation(len(some)):
            yield some[number]


def _by_length(ids: Sequence[Sequence[int]], tokens: int) -> Iterator[Array]:
    """The places of all texts, the longest first, as many in a batch as fit into so many tokens."""
    order = np.argsort([-len(one) for one in ids], kind="stable")
    at = 0
    while at < len(order):
        size = max(1, tokens // len(ids[order[at]]))
        yield order[at : at + size]
        at += size


def _loss(logits: torch.Tensor, goals: torch.Tensor, heads: Sequence[Head], options: EncoderOptions) -> torch.Tensor:
    """The sum over the fields of the cross-entropy and, of numbers, the squared error of the mean on a scale of 0 to 1.

    What nothing was said about (NaN) counts for nothing.
    """
    goals = goals.to(logits.device)
    total = logits.sum() * 0.0
    for head in heads:
        goal = goals[:, head.columns]
        known = ~goal.isnan().any(dim=1)
        if not known.any():
            continue
        goal, logs = goal[known], torch.log_softmax(logits[known, head.columns], dim=1)
        total = total - (goal * logs).sum(dim=1).mean()
        if head.worth:
            worth = torch.tensor(head.worth, device=logits.device)
            error = (logs.exp() - goal) @ (worth / (worth.max() - worth.min()))
            total = total + options.score_error * (error * error).mean()
    return total


def _held_out(
    student: Encoder, ids: Sequence[Sequence[int]], held: Array, goals: torch.Tensor, heads: Sequence[Head]
) -> float:
    """The loss on the articles set aside."""
    student.model.eval()
    batches = [held[some] for some in _by_length([ids[place] for place in held], student.batch_tokens)]
    with torch.inference_mode():
        logits = torch.cat([student.forward([ids[place] for place in places]) for places in batches])
        return float(_loss(logits, goals[np.concatenate(batches)], heads, student.options))
