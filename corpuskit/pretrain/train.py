"""The loop: steps of the optimizer over packed sequences, written down, and gone on with after an interruption.

What a step does depends on the seed, its number and the data alone: dropout, masks and order are drawn from them at
each step. So nothing but weights, the optimizer and the place in the stream is kept, and a run that was killed goes on
as if it had not been, on any number of devices that the batch can be divided among.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from corpuskit.pretrain import checkpoint, curves, masking
from corpuskit.pretrain.config import PretrainConfig, PretrainError
from corpuskit.pretrain.cost import Spending
from corpuskit.pretrain.masking import Ints, Masked
from corpuskit.pretrain.model import Packed, load_model, special_of
from corpuskit.pretrain.schedule import learning_rate
from corpuskit.pretrain.stream import Batch, Stream, validation
from corpuskit.pretrain.tokens import Tokens

try:
    import torch
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.state import AcceleratorState
    from torch import nn
except ImportError as error:
    raise PretrainError(f"pretraining needs PyTorch ({error}): pip install 'corpuskit-fr[pretrain]'") from None

#: Share of the tokens that the validation loss is measured on, whatever the run masks.
_VALIDATED = 0.15
#: Operations a second of dense matrices in bf16 (data sheets), by the name that the driver gives a GPU.
_PEAK = {
    r"\b(H100|H200)(?!.*(PCI|NVL))": 989e12, r"\bH[12]00.NVL": 835e12, r"\bH100": 756e12, r"\bA100": 312e12,
    r"\bL40S\b": 362e12, r"\bA40\b": 150e12, r"\bA10\b": 125e12, r"\bV100": 125e12, r"\bB200\b": 2250e12,
}  # fmt: skip
_LOG = "log.jsonl"
#: Steps between two lines of the log, unless there are few in all.
_LOGGED = 10

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """What has come out of it: the model on the main process, and figures as the manifest tells them."""

    model: Any
    told: dict[str, Any]
    #: As :meth:`corpuskit.pretrain.cost.Spending.spent` gives it.
    spent: dict[str, Any]


def devices(config: PretrainConfig) -> Accelerator:
    """The devices that this process and its kin (``torchrun``) compute on, and their precision.

    Raises:
        PretrainError: bf16 is asked for and not there.
    """
    cuda = torch.cuda.is_available()
    able = cuda and torch.cuda.is_bf16_supported()
    if config.precision == "bf16" and cuda and not able:
        raise PretrainError("precision: bf16 is not known to this GPU; use float32")
    half = config.precision == "bf16" or (config.precision == "auto" and able)
    AcceleratorState._reset_state()  # a run before this one may have had another precision
    # Other processes wait while the first tokenises.
    patient = InitProcessGroupKwargs(timeout=timedelta(days=2))
    return Accelerator(mixed_precision="bf16" if half else "no", cpu=not cuda, kwargs_handlers=[patient])


def train(
    config: PretrainConfig,
    tokenizer: Any,
    data: Sequence[Tokens],
    work: Path,
    accelerator: Accelerator,
    tell: Callable[[Line], None],
    country: str = "FRA",
) -> Trained:
    """Train, or go on from the last checkpoint in ``work``.

    Args:
        config: the run.
        tokenizer: of the model.
        data: the token shards, in the order of ``config.data.sources`` and then of those ``watched``.
        work: folder of checkpoints and the log of this very run.
        accelerator: from :func:`devices`.
        tell: called on the main process with each line of the log.
        country: whose electricity codecarbon takes (ISO 3166, three letters).

    Raises:
        PretrainError: model and data do not fit, a checkpoint cannot be written, or the loss is no number any more.
    """
    length, world, main = config.data.sequence_length, accelerator.num_processes, accelerator.is_main_process
    special = special_of(tokenizer, masked=config.objective != "causal")
    model = load_model(config, tokenizer)
    per_step = -(-max(1, round(config.batch_tokens / length)) // world) * world
    planned = config.budget.steps or math.ceil((config.budget.tokens or 0) / (per_step * length))
    logged = max(1, min(_LOGGED, planned // 50))
    packed: Any = Packed(model, config.compile)
    optimizer: Any = torch.optim.AdamW(
        _groups(packed, config.optimizer.weight_decay), config.optimizer.learning_rate, config.optimizer.betas,
        config.optimizer.epsilon, fused=True,
    )  # fmt: skip
    trained = data[: len(config.data.sources)]
    stream = Stream(trained, [source.weight for source in config.data.sources], length, special, config.seed)
    vocabulary, mask = ordinary(tokenizer), tokenizer.mask_token_id
    looked_at = validation(data, config.validation_sequences, length, special)
    # The same sequences and masks at each look, and in every run.
    held_out = {
        causal: [
            (one, masking.following(one) if causal else masking.mask(one, _VALIDATED, mask, vocabulary, 0, None))
            for one in looked_at
        ]
        for causal in {_causal(config, 0.0), _causal(config, 1.0)}
    }
    step, tokens, seconds, spent = 0, 0, 0.0, None
    found, wrong = checkpoint.newest(work / "checkpoints")
    if found is None and wrong:
        raise PretrainError("\n".join([*wrong, f"No checkpoint can be read; remove {work.parent} to begin anew"]))
    if found is not None:
        found.into(model)
        optimizer.load_state_dict(found.optimizer)
        stream.restore(found.state["stream"])
        step, tokens, seconds, spent = (found.state[name] for name in ("step", "tokens", "seconds", "spent"))
    # What went by after the checkpoint went by as well.
    known = [line for line in _lines(work / _LOG) if line["kind"] == "train"]
    seconds = max([seconds, *(line["seconds"] for line in known)])
    spent = (spent or {}) | {"kwh": max([(spent or {}).get("kwh", 0.0), *(line["kwh"] for line in known)])}
    bare = packed
    packed, optimizer = accelerator.prepare(packed, optimizer)
    name = torch.cuda.get_device_name(accelerator.device) if accelerator.device.type == "cuda" else "cpu"
    log = _Log(work / _LOG, step, tell if main else None)
    for problem in wrong:
        log("warning", step=step, message=problem)
    ahead = Ahead(config, mask, vocabulary, stream, per_step)
    position = found.state["stream"] if found is not None else None

    def look(causal: bool) -> None:
        losses = validation_loss(accelerator, bare, held_out[causal], config, causal)
        own = losses[: len(trained)]
        told = {"all": sum(own) / len(own)} | dict(zip([one.name for one in data], losses, strict=True))
        log("validation", step=step, tokens=tokens, loss=told, objective=_objective(causal))

    gpus = world if accelerator.device.type == "cuda" else 0
    with Spending(gpus, country, spent, codecarbon=main) as spending, ThreadPoolExecutor(1) as pool:
        clock = _Clock(seconds)
        if found is None:
            log(
                "start", step=0, parameters=sum(weights.numel() for weights in model.parameters()),
                sequence_length=length, batch_tokens=per_step * length, device=name, devices=world,
                precision=_precision(accelerator), steps=planned,
                tokens=config.budget.tokens or planned * per_step * length,
            )  # fmt: skip
            look(_causal(config, 0.0))
        else:
            log("resumed", step=step, tokens=tokens, seconds=clock.total, steps=planned)
        packed.train()
        since = _Since()
        coming: Future[Step] = pool.submit(ahead.step, step, tokens)
        while not (reason := _ended(config, step, tokens)):
            now = coming.result()
            position = now.position
            rate = learning_rate(config.optimizer, _done(config, step, tokens))
            for group in optimizer.param_groups:
                group["lr"] = rate
            torch.manual_seed(((config.seed * 1_000_003 + step) * 1_009 + accelerator.process_index) % 2**63)
            since.add(*_step(accelerator, packed, optimizer, config, now), now.tokens)
            step, tokens = step + 1, tokens + now.tokens
            coming = pool.submit(ahead.step, step, tokens)
            ends = bool(_ended(config, step, tokens))
            turns = _causal(config, _done(config, step, tokens)) != now.causal
            looks = step % config.validate_every == 0 or ends or turns
            saves = step % config.checkpoint_every == 0 or ends
            if not (step % logged == 0 or looks or saves):
                continue
            loss, norm, speed = since.told(accelerator)
            if not math.isfinite(loss):
                raise PretrainError(
                    f"step {step}: the loss is {loss}: lower the learning rate, raise the warm-up, or try "
                    "`precision: float32`; the last checkpoint is kept"
                )
            peak, done = _peak(name), operations(model, length, config, now.causal) * speed
            kwh, to_come = spending.kwh(), max(0.0, 1 / _done(config, step, tokens) - 1)
            log(
                "train", step=step, tokens=tokens, seconds=clock.total, loss=loss, objective=_objective(now.causal),
                learning_rate=rate, gradient_norm=norm, tokens_per_second=round(speed, 1),
                mfu=round(done / peak / world, 4) if peak else None, kwh=kwh,
                seconds_left=round(clock.total * to_come, 1), kwh_left=kwh * to_come,
            )  # fmt: skip
            over = _agreed(accelerator, _spent(config, clock.total, kwh))
            if looks or over:
                look(now.causal)
                if turns and not ends:  # what it begins the next phase with
                    look(not now.causal)
            if saves and main:
                checkpoint.save(
                    work / "checkpoints", step, model, optimizer.optimizer.state_dict(),
                    {"step": step, "tokens": tokens, "seconds": clock.total, "spent": spending.spent(),
                     "stream": position},
                )  # fmt: skip
            if over:
                reason = over
                break
            since = _Since()
        log("end", step=step, tokens=tokens, seconds=clock.total, reason=reason)
    if position is not None:  # without the step that was made ahead
        stream.restore(position)
    speeds, looks_at = (log.of(kind) for kind in ("train", "validation"))
    ends_of = {"first": looks_at[0], "last": looks_at[-1]} if looks_at else {}
    told = {
        "steps": step, "tokens": tokens, "seconds": clock.total, "reason": reason,
        "epochs": {one.name: round(epochs, 4) for one, epochs in zip(trained, stream.epochs(), strict=True)},
        "padding": {one.name: round(share, 6) for one, share in zip(trained, stream.padding(), strict=True)},
        "tokens_per_second": _median(speeds, "tokens_per_second"), "mfu": _median(speeds, "mfu"),
        "loss": {which: line["loss"] for which, line in ends_of.items()}
        | {"objective": {which: line["objective"] for which, line in ends_of.items()}},
        "device": name, "devices": world,
        "precision": _precision(accelerator),
    }  # fmt: skip
    return Trained(model, told, spending.spent())


class _Log:
    """The log of a run: a file, and whoever listens; None: another process writes it."""

    def __init__(self, path: Path, step: int, tell: Callable[[Line], None] | None) -> None:
        self._path, self._tell = path, tell
        if tell is not None:  # what came after the checkpoint will come again
            kept = [line for line in self.lines() if step and line["step"] <= step and line["kind"] != "end"]
            partial = path.with_suffix(".partial")
            partial.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in kept))
            partial.replace(path)

    def __call__(self, kind: str, **line: Any) -> None:
        if self._tell is not None:
            with self._path.open("ab") as file:
                file.write(orjson.dumps({"kind": kind} | line) + b"\n")
            self._tell({"kind": kind} | line)

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind; none in a process that does not write them."""
        return [line for line in self.lines() if line["kind"] == kind]

    def lines(self) -> list[Line]:
        return _lines(self._path) if self._tell is not None else []


def _lines(log: Path) -> list[Line]:
    return curves.read(log) if log.exists() else []


class _Clock:
    """The seconds of all tries together."""

    def __init__(self, before: float) -> None:
        self._before, self._begun = before, time.perf_counter()

    @property
    def total(self) -> float:
        return round(self._before + time.perf_counter() - self._begun, 3)


class _Since:
    """What has happened since the last line of the log; read off the device only when it is told."""

    def __init__(self) -> None:
        self._losses: list[torch.Tensor] = []
        self._norms: list[torch.Tensor] = []
        self._tokens, self._begun = 0, time.perf_counter()

    def add(self, loss: torch.Tensor, norm: torch.Tensor, tokens: int) -> None:
        self._losses.append(loss)
        self._norms.append(norm)
        self._tokens += tokens

    def told(self, accelerator: Accelerator) -> tuple[float, float, float]:
        """The mean loss, the mean length of the gradient, and tokens a second."""
        loss = float(accelerator.reduce(torch.stack(self._losses).mean(), "mean"))
        norm = float(torch.stack(self._norms).mean())
        return loss, norm, self._tokens / (time.perf_counter() - self._begun)


@dataclass(frozen=True, slots=True)
class Step:
    """The sequences of a step, what is to be guessed of them, and where the stream is after them."""

    batch: Batch
    masked: Masked
    causal: bool
    tokens: int
    position: dict[str, Any]


class Ahead:
    """Makes the steps ahead of the devices: each process makes all of a step, so that all know what it weighs."""

    def __init__(self, config: PretrainConfig, mask: int, vocabulary: Ints, stream: Stream, per_step: int) -> None:
        self._config, self._mask, self._vocabulary = config, mask, vocabulary
        self._stream, self._per_step = stream, per_step

    def step(self, step: int, tokens: int) -> Step:
        """The step with that number, when as many tokens have been seen."""
        done = _done(self._config, step, tokens)
        batch = self._stream.take(self._per_step)
        masking_of, causal = self._config.masking, _causal(self._config, done)
        if causal:
            masked = masking.following(batch)
        else:
            draw = step if masking_of.dynamic else None
            masked = masking.mask(
                batch,
                masking_of.at(done),
                self._mask,
                self._vocabulary,
                self._config.seed,
                draw,
                masking_of.whole_words,
            )
        return Step(batch, masked, causal, int((batch.document >= 0).sum()), self._stream.state())


def ordinary(tokenizer: Any) -> Ints:
    """The ids of a vocabulary that are not special."""
    special = set(tokenizer.all_special_ids)
    return np.array([one for one in range(len(tokenizer)) if one not in special], np.int64)


def _step(
    accelerator: Accelerator, packed: Any, optimizer: Any, config: PretrainConfig, step: Step
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the optimizer; its share of the mean loss times the devices, and the length of the gradient."""
    world, total = accelerator.num_processes, max(1, len(step.masked.places))
    loss = torch.zeros((), device=accelerator.device)
    parts = list(_parts(accelerator, config, step.batch, step.masked))
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        with nullcontext() if last else accelerator.no_sync(packed), accelerator.autocast():
            # The mean over all that is guessed in the step, on whichever device; gradients are averaged over devices.
            found = packed(*part, step.causal) * (world / total)
            accelerator.backward(found)
        loss += found.detach()
    norm = accelerator.clip_grad_norm_(packed.parameters(), config.optimizer.clip)
    optimizer.step()
    optimizer.zero_grad()
    return loss, norm.detach()


def _parts(accelerator: Accelerator, config: PretrainConfig, batch: Batch, masked: Masked) -> Iterator[Any]:
    """What this process computes of a batch, as tensors of ``device_sequences`` at a time."""
    length = batch.ids.shape[1]
    own = np.array_split(np.arange(len(batch)), accelerator.num_processes)[accelerator.process_index]
    for start in range(0, len(own), config.device_sequences):
        rows = own[start : start + config.device_sequences]
        first, end = np.searchsorted(masked.places, [rows[0] * length, (rows[-1] + 1) * length])
        arrays = (
            masked.ids[rows], batch.positions[rows], batch.document[rows],
            masked.places[first:end] - rows[0] * length, masked.targets[first:end],
        )  # fmt: skip
        yield [torch.from_numpy(np.ascontiguousarray(one)).to(accelerator.device, non_blocking=True) for one in arrays]


def validation_loss(
    accelerator: Accelerator,
    packed: Packed,
    held_out: Sequence[tuple[Batch, Masked]],
    config: PretrainConfig,
    causal: bool,
) -> list[float]:
    """The mean loss of what is to be guessed in each of some batches, here of the held-out texts of a data set."""
    found = []
    packed.eval()
    for batch, masked in held_out:
        total = torch.zeros((), device=accelerator.device, dtype=torch.float64)
        with torch.inference_mode(), accelerator.autocast():
            for part in _parts(accelerator, config, batch, masked):
                total += packed(*part, causal)
        found.append(float(accelerator.reduce(total, "sum")) / max(1, len(masked.places)))
    packed.train()
    return found


def _groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay is for matrices."""
    trained = [weights for weights in module.parameters() if weights.requires_grad]
    matrices = [weights for weights in trained if weights.ndim >= 2]
    others = [weights for weights in trained if weights.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _done(config: PretrainConfig, step: int, tokens: int) -> float:
    """The share of the run that is done."""
    budget = config.budget
    return max(step / budget.steps if budget.steps else 0.0, tokens / budget.tokens if budget.tokens else 0.0)


def _ended(config: PretrainConfig, step: int, tokens: int) -> str:
    if config.budget.steps and step >= config.budget.steps:
        return "steps"
    return "tokens" if config.budget.tokens and tokens >= config.budget.tokens else ""


def _spent(config: PretrainConfig, seconds: float, kwh: float) -> str:
    if config.budget.hours and seconds >= config.budget.hours * 3600:
        return "hours"
    return "kwh" if config.budget.kwh and kwh >= config.budget.kwh else ""


_REASONS = ["", "hours", "kwh"]


def _agreed(accelerator: Accelerator, reason: str) -> str:
    """What the main process says, as each has a clock of its own."""
    said = torch.tensor(_REASONS.index(reason) if accelerator.is_main_process else 0, device=accelerator.device)
    return _REASONS[int(accelerator.reduce(said, "sum"))]


def _causal(config: PretrainConfig, done: float) -> bool:
    if config.objective == "causal-then-mlm":
        return done < config.causal_share
    return config.objective == "causal"


def _objective(causal: bool) -> str:
    return "causal" if causal else "mlm"


def _precision(accelerator: Accelerator) -> str:
    return "bf16" if accelerator.mixed_precision == "bf16" else "float32"


def operations(model: Any, length: int, config: PretrainConfig, causal: bool) -> float:
    """Floating-point operations of a token, there and back (Chowdhery et al. 2023, "PaLM", JMLR, appendix B).

    Six a weight of the body that multiplies, 12 × layers × width × length for attention over a whole sequence, and six
    a weight of the output layer where something is guessed.
    """
    embedded = model.get_input_embeddings().weight.numel()
    body = sum(weights.numel() for weights in model.base_model.parameters() if weights.ndim == 2) - embedded
    positions = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    body -= positions.weight.numel() if isinstance(positions, nn.Module) else 0
    layers, width = model.config.num_hidden_layers, model.config.hidden_size
    guessed = 1.0 if causal else config.masking.at(0.0)
    return float(6 * body + 12 * layers * width * length * (0.5 if causal else 1) + 6 * embedded * guessed)


def _median(lines: Sequence[Line], name: str) -> float | None:
    known = [line[name] for line in lines if line[name] is not None]
    return float(np.median(known)) if known else None


def _peak(device: str) -> float | None:
    return next((peak for pattern, peak in _PEAK.items() if re.search(pattern, device)), None)
