"""Fine-tuning of encoders: a fresh copy for each task and seed, nothing frozen, a linear head on the last layer.

Texts are packed into rows with attention confined to each, so there is hardly any padding to compute; the loss is that
of the texts alone. Every architecture is tried on two short texts when it is opened; one that reads them otherwise when
they are packed (such as DeBERTa, whose attention takes no such mask) gets padded batches instead.

A step is a fixed number of texts, drawn without putting back until all were drawn. The checkpoint is the one that is
best on dev by the headline, the first of equals, or the last, as the protocol says.
"""

from __future__ import annotations

import copy
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit import runs
from corpuskit.energy import Meter, Processors, counting
from corpuskit.evaluate import scorers
from corpuskit.evaluate.protocol import Protocol
from corpuskit.evaluate.records import Answer, Document, Outcome, Span, TaskError
from corpuskit.evaluate.scoring import gold, scored, selected_by
from corpuskit.evaluate.systems.batches import Array, Batch, Example, batch, portions
from corpuskit.evaluate.systems.heads import Head, Tokens, head_of
from corpuskit.evaluate.systems.weights import weights_hash
from corpuskit.evaluate.tasks import Data, Task
from corpuskit.pretrain.config import PretrainError

try:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, get_scheduler
    from transformers import logging as transformers_logging
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
    from transformers.utils import cached_file

    from corpuskit.pretrain.model import Body, limit_of
except (ImportError, PretrainError) as error:
    raise TaskError(f"fine-tuning needs Transformers ({error}): pip install 'corpuskit-fr[pretrain]'") from None

Tell = Callable[[dict[str, Any]], None]

#: Of the states before the head.
DROPOUT = 0.1
#: Places that are computed at once, on a GPU and on a processor (whose caches are small).
PLACES = {"cuda": 32_768, "cpu": 4_096}
#: Lines that are told of the steps of a run.
LINES = 100
#: The most that packing may change a state, in an architecture that takes it.
ROUNDING = 1e-4

_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_HELP = "give a model of the Hugging Face hub, a folder with config.json, weights and tokenizer.json, or a pretrain run"


def open_encoder(name: str | Path) -> Encoder:
    """Open an encoder.

    Args:
        name: of a model on the Hugging Face hub, its folder, or the folder of the run that trained it.

    Raises:
        TaskError: there is none, it reads to the left only, or its tokenizer does not say where its tokens are.
    """
    name = where = str(name)
    if (Path(name) / "model" / "config.json").is_file():
        where = str(Path(name) / "model")
    elif not Path(name).is_dir() and (not _HUB.fullmatch(name) or Path(name).exists()):
        raise TaskError(f"{name}: there is no such folder, and no model of the hub has such a name: {_HELP}")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(where)
        if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or getattr(config, "is_decoder", False):
            raise TaskError(
                f"{name}: a {config.model_type} that reads to the left only is no encoder: ask it as an LLM"
            )
        tokenizer = AutoTokenizer.from_pretrained(where)
        model = _load(where)
        weights = _weights(where)
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TaskError(f"{name} cannot be opened: {first}: {_HELP}") from None
    if not getattr(tokenizer, "is_fast", False):
        raise TaskError(
            f"{name}: its tokenizer ({type(tokenizer).__name__}) does not say where its tokens are in a text: take a "
            "fast one, with a tokenizer.json, as the library tokenizers writes it"
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise TaskError(f"{name}: its tokenizer knows no words: are its files (tokenizer.json) there?")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise TaskError(
            f"{name}: its tokenizer has {len(tokenizer):,} tokens, and the model knows "
            f"{model.get_input_embeddings().num_embeddings:,}: put the tokenizer there that it was trained with"
        )
    return Encoder(name, model, tokenizer, weights)


def _load(where: str) -> PreTrainedModel:
    """The model without a head, in float32."""
    options = {"dtype": torch.float32, "output_loading_info": True}
    with torch.random.fork_rng(devices=[]):  # what is missing is made at random
        try:
            model, told = AutoModel.from_pretrained(where, attn_implementation="sdpa", **options)
        except ValueError:  # it knows no such attention
            model, told = AutoModel.from_pretrained(where, **options)
    if missing := sorted(key for key in told["missing_keys"] if "pooler" not in key):
        raise ValueError(f"its weights lack {missing[0]}{' and more' if missing[1:] else ''}")
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # the head reads states
    return model.eval()


def _weights(where: str) -> list[Path]:
    """The files of the weights."""
    folder = Path(where) if Path(where).is_dir() else Path(str(cached_file(where, "config.json"))).parent
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


class Encoder:
    """A pretrained encoder, which is fine-tuned for each task.

    Args:
        name: what it is called.
        model: without a head.
        tokenizer: a fast one.
        weights: the files that they are from.
        device: what it is fine-tuned on; a GPU if there is one.
    """

    def __init__(
        self, name: str, model: PreTrainedModel, tokenizer: Any, weights: Sequence[Path] = (), device: str = ""
    ) -> None:
        self._model = model
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        typed = (
            "token_type_ids" in tokenizer.model_input_names and (getattr(model.config, "type_vocab_size", 0) or 0) > 1
        )
        self._tokens, self._typed = Tokens(tokenizer, typed), typed
        limits = [limit for limit in (limit_of(model), tokenizer.model_max_length) if limit]
        self._limit = int(min(limits))
        self._pad = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0)
        self._packed = packs(model, self._pad)
        self.told: dict[str, Any] = {
            "name": name,
            "kind": "encoder",
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "bytes": sum(path.stat().st_size for path in weights) or None,
            "weights": weights_hash(weights),
            "tokenizer": runs.fingerprint(tokenizer.backend_tokenizer.to_str()),
            "config": runs.fingerprint(model.config.to_json_string()),
            "architecture": model.config.model_type,
            "limit": self._limit if self._limit < 1 << 30 else None,
            "packed": self._packed,
            "device": self._device.type,
            "precision": "bf16" if self._half else "float32",
        }

    def by_chance(self, task: Task) -> bool:
        """Whether another seed may give other answers: always."""
        return True

    def tokens(self, documents: Sequence[Document]) -> list[list[Span]]:
        """The sub-tokens of each text that stand for characters."""
        read = (self._tokens.read(document.text)[1] for document in documents)
        return [[(start, end) for start, end in offsets if start < end] for offsets in read]

    def meter(self) -> Meter | Processors:
        """What counts its energy from now on."""
        return counting(gpus=self._device.type == "cuda")

    def run(self, task: Task, data: Data, protocol: Protocol, seed: int, tell: Tell = lambda line: None) -> Outcome:
        """Fine-tune a fresh copy on train, and answer test.

        On a processor the same seed gives the same answers; a GPU adds in no fixed order.

        Args:
            task: which.
            data: its documents.
            protocol: how it is fine-tuned.
            seed: of the head, dropout and the order of the texts.
            tell: called with lines of progress: `step`, and `look` where dev was looked at.

        Raises:
            TaskError: the data does not fit the task, the loss is no number any more, or memory does not suffice.
        """
        devices = [self._device] if self._device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(seed)
                return self._run(task, data, protocol, seed, tell)
        except torch.OutOfMemoryError:
            raise TaskError(
                f"{self.told['name']}: the memory of {self._device} does not suffice for {protocol.batch_size} texts "
                f"of {protocol.length} tokens: lower `length` or `batch_size` of the protocol, or free the device"
            ) from None

    def _run(self, task: Task, data: Data, protocol: Protocol, seed: int, tell: Tell) -> Outcome:
        started = time.perf_counter()
        limit = min(protocol.length, self._limit)
        head = head_of(task, data, protocol, self._tokens, limit)
        train = head.read(data.train.documents, "train")
        if not train:
            raise TaskError(f"task {task.name}: there is no text in train")
        best = protocol.selection == "best"
        dev = head.read(data.dev.documents, "dev") if best else []
        test = head.read(data.test.documents, "test")
        model = Tagger(copy.deepcopy(self._model), head.outputs, self._packed, self._typed).to(self._device)
        right = gold(task, protocol, data.dev.documents)
        counted = self.tokens(data.dev.documents) if protocol.count == "tokens" else None

        def look() -> float:
            answers = head.answers(data.dev.documents, dev, self._say(model, head, dev))
            return _headline(task, protocol, data.dev.documents, right, answers, counted)

        training = Training(model, head, train, protocol, seed, self._pad, self._packed, self._autocast)
        looks: list[dict[str, Any]] = []
        kept: tuple[int, dict[str, torch.Tensor]] | None = None
        when = (
            {round(training.steps * part / protocol.looks) for part in range(1, protocol.looks + 1)} if best else set()
        )
        every = max(1, training.steps // LINES)
        for step, losses in training:
            if step % every == 0 or step in when or step == training.steps:
                loss = float(torch.stack(losses).mean())
                losses.clear()
                if not math.isfinite(loss):
                    raise TaskError(
                        f"{self.told['name']}, task {task.name}, seed {seed}: the loss is {loss} at step {step}: lower "
                        "`learning_rate` of the protocol, or give it more `warmup`"
                    )
                tell({"kind": "step", "step": step, "steps": training.steps, "loss": loss})
            if step in when:
                value = look()
                tell({"kind": "look", "step": step, "steps": training.steps, "value": value})
                if kept is None or value > max(one["value"] for one in looks):
                    state = {key: weight.detach().cpu().clone() for key, weight in model.state_dict().items()}
                    kept = step, state
                looks.append({"step": step, "value": value})
        if kept is not None:
            model.load_state_dict(kept[1])
        trained = time.perf_counter()
        said = self._say(model, head, test)
        answers = head.answers(data.test.documents, test, said)
        answering = time.perf_counter() - trained
        read = sum(map(len, test))
        cuda = self._device.type == "cuda"
        told: dict[str, Any] = {
            "training_seconds": trained - started,
            "prediction_seconds": answering,
            "documents_per_second": len(data.test.documents) / answering,
            "steps": training.steps,
            "chosen_step": kept[0] if kept else training.steps,
            "dev": looks,
            **head.counted(),
            "pieces": {"train": len(train), "dev": len(dev), "test": len(test)},
            "pieces_per_second": {"training": training.pieces / training.seconds, "prediction": len(test) / answering},
            "tokens_per_second": {"training": training.tokens / training.seconds, "prediction": read / answering},
            "padding": 1 - training.tokens / training.places,
            "device": torch.cuda.get_device_name(self._device) if cuda else "cpu",
            "precision": "bf16" if self._half else "float32",
            "peak_bytes": torch.cuda.max_memory_allocated(self._device) if cuda else None,
        }  # fmt: skip
        return Outcome(answers, told)

    @property
    def _half(self) -> bool:
        return self._device.type == "cuda" and bool(torch.cuda.is_bf16_supported())

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()

    def _say(self, model: Tagger, head: Head, examples: Sequence[Example]) -> list[Array]:
        """What a model says of each example; those of like length are computed together."""
        found: dict[int, Array] = {}
        order = sorted(range(len(examples)), key=lambda number: -len(examples[number]))
        ordered = [examples[number] for number in order]
        with evaluating(model), torch.inference_mode(), self._autocast():
            for part in portions(ordered, PLACES[self._device.type], self._packed):
                some = [ordered[number] for number in part]
                logits = model(_batch(some, self._packed, self._pad).to(self._device))
                found.update(zip((order[number] for number in part), head.say(logits.float(), some), strict=True))
        return [found[number] for number in range(len(examples))]


def _batch(examples: Sequence[Example], packed: bool, pad: int) -> Batch:
    return batch([reading for example in examples for reading in example.readings], packed, pad)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Without dropout, and as before afterwards."""
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


def _headline(
    task: Task,
    protocol: Protocol,
    documents: Sequence[Document],
    gold: Sequence[Document],
    answers: dict[str, Answer],
    tokens: Sequence[Sequence[Span]] | None = None,
) -> float:
    """What checkpoints are chosen by, without the measures that are not asked for."""
    name = selected_by(task, protocol)
    if name in ("strict", "exact_span", "overlap", "overlap_span"):
        said = {document: answer.entities for document, answer in answers.items()}
        return scorers.entity_scores(gold, said)[name].measure().value
    return scored(task, protocol, documents, answers, tokens).measures[name].value


class Tagger(torch.nn.Module):
    """An encoder and a linear head.

    Args:
        model: without a head.
        outputs: of the head.
        packed: texts share rows.
        typed: it is told which tokens are of a second text.
    """

    def __init__(self, model: PreTrainedModel, outputs: int, packed: bool, typed: bool) -> None:
        super().__init__()
        self._packed, self._typed = packed, typed
        self._body = Body(model) if packed else model
        self._dropout = torch.nn.Dropout(DROPOUT)
        self.head = torch.nn.Linear(model.config.hidden_size, outputs)
        # As Transformers begins a head.
        torch.nn.init.normal_(self.head.weight, std=getattr(model.config, "initializer_range", None) or 0.02)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The logits at the places that are asked for, (places, outputs)."""
        more = {"token_type_ids": batch.types} if self._typed else {}
        if self._packed:
            states = self._body(batch.ids, batch.positions, batch.document, False, **more)
        else:
            mask = (batch.document >= 0).long()
            states = self._body(input_ids=batch.ids, attention_mask=mask, **more)[0]
        logits: torch.Tensor = self.head(self._dropout(states.flatten(0, 1)[batch.places]))
        return logits


class Training:
    """The steps of the optimizer, one after the other.

    Iterating gives the number of each step, and the losses since they were cleared.

    Args:
        model: what is trained, where it is to be.
        head: of the task.
        examples: of train.
        protocol: how.
        seed: of the order.
        pad: what stands at empty places.
        packed: texts share rows.
        autocast: the precision, as a context.
    """

    def __init__(
        self,
        model: Tagger,
        head: Head,
        examples: Sequence[Example],
        protocol: Protocol,
        seed: int,
        pad: int,
        packed: bool,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._model, self._head, self._examples, self._protocol = model, head, examples, protocol
        self._pad, self._packed, self._autocast = pad, packed, autocast
        self._drawn = drawn(len(examples), seed)
        self.steps = protocol.steps or max(1, math.ceil((protocol.epochs or 0) * len(examples) / protocol.batch_size))
        #: Texts, tokens, and places with those of padding, that were learnt from, and how long that took.
        self.pieces = self.tokens = self.places = 0
        self.seconds = 0.0

    def __iter__(self) -> Iterator[tuple[int, list[torch.Tensor]]]:
        protocol = self._protocol
        weights = list(self._model.parameters())
        groups = [
            {"params": [one for one in weights if one.ndim > 1], "weight_decay": protocol.weight_decay},
            {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=protocol.learning_rate, fused=True)
        name = "linear" if protocol.schedule == "linear" else "constant_with_warmup"
        warm = round(protocol.warmup * self.steps)
        schedule = get_scheduler(name, optimizer, num_warmup_steps=warm, num_training_steps=self.steps)
        losses: list[torch.Tensor] = []
        self._model.train()
        for step in range(1, self.steps + 1):
            started = time.perf_counter()
            losses.append(self._learn([self._examples[next(self._drawn)] for _ in range(protocol.batch_size)]))
            torch.nn.utils.clip_grad_norm_(weights, protocol.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            self.seconds += time.perf_counter() - started
            yield step, losses

    def _learn(self, chosen: Sequence[Example]) -> torch.Tensor:
        """Add the gradients of the mean loss of some examples, and give the loss."""
        device = next(self._model.parameters()).device
        weight = sum(example.weight for example in chosen)
        total = torch.zeros((), device=device)
        for part in portions(chosen, PLACES[device.type], self._packed):
            some = [chosen[number] for number in part]
            rows = _batch(some, self._packed, self._pad)
            with self._autocast():
                logits = self._model(rows.to(device))
            loss = self._head.loss(logits.float(), some) / weight
            loss.backward()
            total += loss.detach()
            self.places += rows.ids.numel()
            self.tokens += sum(map(len, some))
        self.pieces += len(chosen)
        return total


def drawn(count: int, seed: int) -> Iterator[int]:
    """Numbers below a count at random, each again only when all the others were drawn."""
    chance = np.random.default_rng(seed)
    while True:
        yield from chance.permutation(count).tolist()


def packs(model: PreTrainedModel, pad: int) -> bool:
    """Whether a model reads two texts in one row as it reads each alone."""
    ids = torch.arange(5, 14)[None] % model.get_input_embeddings().num_embeddings
    parts = [(0, 4), (4, 9)]
    document = torch.tensor([[number for number, (start, end) in enumerate(parts) for _ in range(start, end)]])
    positions = torch.cat([torch.arange(end - start) for start, end in parts])[None]
    try:
        with evaluating(model), torch.inference_mode():
            together = Body(model)(ids, positions, document, False)
            alone = torch.cat([model(input_ids=ids[:, start:end])[0] for start, end in parts], 1)
    except Exception:  # whatever an architecture says of a mask that it does not know
        return False
    return together.shape == alone.shape and bool(torch.allclose(together, alone, atol=ROUNDING))
