"""A quick look at language models: the words they put in a gap, and how well they foresee texts, side by side.

How well a masked model foresees a text is its pseudo-perplexity (Salazar et al. 2020, "Masked Language Model Scoring",
https://aclanthology.org/2020.acl-main.240): each token is guessed from all the others. A token of a long word is too
easily guessed from the rest of that word, so the later tokens of the word are hidden with it (PLL-word-l2r; Kauf and
Ivanova 2023, "A Better Way to Do Masked Language Model Scoring", https://aclanthology.org/2023.acl-short.80).

A word is what stands between spaces. No common tokenizer joins two of them, so models whose tokenizers differ guess
the same words, and are compared by the word.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from corpuskit.paragraphs import read
from corpuskit.pretrain.config import PretrainError

try:
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
        AutoTokenizer,
        PretrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )
    from transformers import logging as transformers_logging
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )
except ImportError as error:
    raise PretrainError(
        f"language models need PyTorch and Transformers ({error}): pip install 'corpuskit-fr[train]'"
    ) from None

from corpuskit.pretrain.model import limit_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Tokens that are computed at once.
BATCH_TOKENS = 8_192
#: Tokens that a model sees at once at most, so that those with a longer reach have no more to go by.
WINDOW = 512
CONFIDENCE = 0.95
_GAP = re.compile(r"<mask>|\[MASK\]")
_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
#: How tokenizers mark a token that begins a word, and one that does not.
_BEGINS, _CONTINUES = ("▁", "Ġ"), "##"


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model of Hugging Face that guesses words.

    Attributes:
        name: what it was asked for by.
        masked: whether it guesses what is hidden from all around it; else what comes next (causal).
        limit: tokens that it takes at once, special ones counted.
        before: special tokens that a text begins with.
        after: special tokens that it ends with.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    masked: bool
    limit: int
    before: tuple[int, ...]
    after: tuple[int, ...]

    def logits(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The logits at one place of each row, float32, shape (rows, vocabulary)."""
        rows, base = torch.arange(len(ids), device=ids.device), self.model.base_model

        def only_there(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
            output["last_hidden_state"] = output[0][rows, places][:, None]
            return output

        # The head is most of the memory, and works place by place: it is spared all the others.
        hook = None if base is self.model else base.register_forward_hook(only_there)
        try:
            found = self.model(input_ids=ids).logits
        finally:
            if hook is not None:
                hook.remove()
        return (found[:, 0] if found.shape[1] == 1 else found[rows, places]).float()


def load(name: str | Path) -> LanguageModel:
    """Open a masked or a causal language model, on a GPU if there is one.

    Args:
        name: of the model on the Hugging Face hub, its folder, or the folder of the run that trained it.

    Raises:
        PretrainError: there is none, or it cannot guess words.
    """
    name = where = str(name)
    if (Path(name) / "model" / "config.json").is_file():
        where = str(Path(name) / "model")
    elif not Path(name).is_dir() and not _HUB.fullmatch(name):
        raise PretrainError(f"{name}: there is no such folder, and no model of the Hugging Face hub has such a name")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        config, tokenizer = AutoConfig.from_pretrained(where), AutoTokenizer.from_pretrained(where)
        masked = _is_masked(config)
        if not masked and config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            config.is_decoder = True  # else each word would see those that come after it
        auto = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        model, told = auto.from_pretrained(where, config=config, output_loading_info=True)
        if told["missing_keys"]:
            raise ValueError(f"it would guess at random, for its weights lack {min(told['missing_keys'])}.")
        if masked and tokenizer.mask_token_id is None:
            raise ValueError("its tokenizer has no mask token.")
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            raise ValueError(f"its tokenizer has {len(tokenizer):,} tokens, more than it knows.")
        before, after = _frame(tokenizer)
    except Exception as error:  # whatever a folder or a server may hold
        first = str(error).partition("\n")[0]
        raise PretrainError(
            f"{name} is no language model that can be used: {first} Give a name of the Hugging Face hub, or a folder "
            "with config.json, the weights and the tokenizer"
        ) from None
    if not masked:
        starts = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id)
        before, after = before or tuple(one for one in starts if one is not None)[:1], ()
        if not before:
            raise PretrainError(f"{name}: its tokenizer has no token that a text begins with")
    limit = min(limit_of(model) or tokenizer.model_max_length, tokenizer.model_max_length)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return LanguageModel(name, model.float().eval().to(device), tokenizer, masked, limit, before, after)


def _is_masked(config: PretrainedConfig) -> bool:
    kind = config.model_type
    masked, causal = MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(kind), MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    if masked and causal and masked != causal:
        return not getattr(config, "is_decoder", False) and causal not in (config.architectures or [])
    if not masked and not causal:
        raise ValueError(f"a {kind} guesses no words.")
    return bool(masked)


def _frame(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens before a text and after it."""
    told = tokenizer("a", return_special_tokens_mask=True)
    ids, special = told["input_ids"], told["special_tokens_mask"]
    if 0 not in special or ids[special.index(0)] == tokenizer.unk_token_id:
        # Transformers makes an empty tokenizer where it finds no files.
        raise ValueError("its tokenizer cannot write the letter a; are its files there?")
    return tuple(ids[: special.index(0)]), tuple(ids[len(ids) - special[::-1].index(0) :])


# ---------------------------------------------------------------------------------------------------------------------
# The words put in a gap


@dataclass(frozen=True, slots=True)
class Guess:
    """A token for a gap.

    Attributes:
        piece: its letters.
        continues: whether it goes on with the word before it.
    """

    piece: str
    continues: bool
    probability: float


def predictions(model: LanguageModel, text: str, top: int = 5) -> list[list[Guess]]:
    """The likeliest tokens for each gap of a text.

    Args:
        model: a masked model, or a causal one, which guesses what comes after the text and so wants the gap at its end.
        text: with one or more ``<mask>`` or ``[MASK]``, whatever the model's own mask token is.
        top: how many.

    Returns:
        For each gap the guesses, the likeliest first.

    Raises:
        PretrainError: the text has no gap, has one where a causal model cannot fill it, or is too long.
    """
    parts = _GAP.split(text)
    if len(parts) == 1:
        raise PretrainError(f"{text!r} has no gap: write <mask> where a word is to be guessed")
    tokenizer = model.tokenizer
    if model.masked:
        ids = tokenizer(tokenizer.mask_token.join(parts), truncation=False, verbose=False)["input_ids"]
        places = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]
    elif len(parts) > 2 or parts[1].strip():
        raise PretrainError(
            f"{model.name} is causal, it reads from left to right: {text!r} needs its only <mask> at the very end"
        )
    else:
        start = tokenizer(parts[0].rstrip(), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        ids = [*model.before, *start]
        places = [len(ids) - 1]
    if len(ids) > model.limit:
        raise PretrainError(
            f"{text[:40]!r}… has {len(ids):,} tokens; {model.name} takes {model.limit:,} at once: shorten it"
        )
    device = model.model.device
    with torch.inference_mode():
        logits = model.logits(torch.tensor([ids] * len(places), device=device), torch.tensor(places, device=device))
        # Some models have more rows than their tokenizer has tokens.
        best = logits.softmax(dim=1)[:, : len(tokenizer)].topk(min(top, len(tokenizer)), dim=1)
    mark = _mark(tokenizer)
    return [
        [_guess(tokenizer, mark, *one) for one in zip(tokens, shares, strict=True)]
        for tokens, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _mark(tokenizer: PreTrainedTokenizerBase) -> str:
    """What tells where words begin in this vocabulary, "" if nothing does."""
    vocabulary = list(tokenizer.get_vocab())
    counts = {mark: sum(token.startswith(mark) for token in vocabulary) for mark in (*_BEGINS, _CONTINUES)}
    mark = max(counts, key=lambda one: counts[one])
    return mark if counts[mark] else ""


def _guess(tokenizer: PreTrainedTokenizerBase, mark: str, token: int, probability: float) -> Guess:
    raw = str(tokenizer.convert_ids_to_tokens(token))
    # Bytes become letters; a space that stands alone becomes nothing, and is shown as it is written.
    piece = tokenizer.decode([token]).strip().removeprefix(_CONTINUES) or raw
    glued = raw.startswith(mark) == (mark == _CONTINUES) and token not in tokenizer.all_special_ids
    return Guess(piece, glued and piece[0].isalnum(), probability)


# ---------------------------------------------------------------------------------------------------------------------
# How well texts are foreseen


@dataclass(frozen=True, slots=True)
class Score:
    """How well a model foresaw texts.

    Attributes:
        model: its name.
        masked: whether it saw what comes after a word as well.
        nats: surprise by text, minus the sum of the logarithms of the probabilities, (texts,).
        words: words guessed by text, (texts,).
        tokens: tokens that these words are, by text, (texts,).
        characters: letters of these words and the spaces before them, by text, (texts,).
        unknown: how many of the tokens stand for what the tokenizer cannot write. They are guessed too easily.
    """

    model: str
    masked: bool
    nats: Floats
    words: Integers
    tokens: Integers
    characters: Integers
    unknown: int

    @property
    def per_word(self) -> float:
        """Perplexity by the word, which models of different tokenizers can be compared by."""
        return _exp(self.nats.sum() / self.words.sum())

    @property
    def per_token(self) -> float:
        """Perplexity by the token, which only models of the same tokenizer can be compared by."""
        return _exp(self.nats.sum() / self.tokens.sum())

    @property
    def bits_per_character(self) -> float:
        """Bits by the letter or space."""
        return float(self.nats.sum() / math.log(2) / self.characters.sum())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": "masked" if self.masked else "causal",
            "perplexity_per_word": self.per_word,
            "perplexity_per_token": self.per_token,
            "bits_per_character": self.bits_per_character,
            **{name: int(getattr(self, name).sum()) for name in ("words", "tokens", "characters")},
            "unknown_tokens": self.unknown,
        }


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens that the model sees at once, and the stretches of them that are words to guess."""

    text: int
    ids: list[int]
    words: list[tuple[int, int]]


def pseudo_perplexity(
    model: LanguageModel,
    texts: Sequence[str],
    words: int | None = None,
    window: int = WINDOW,
    original: bool = False,
    batch_tokens: int = BATCH_TOKENS,
) -> Score:
    """How well a model foresees texts: pseudo-perplexity of a masked model, perplexity of a causal one.

    White space counts as one space. A text that is longer than the window is cut between words into windows of about
    the same length, each of which is all that the model sees.

    Args:
        model: the model.
        texts: what it should not have been trained on.
        words: guess only so many words of each text, by chance, but the same ones for every model; all unless given.
        window: tokens seen at once at most; a model with a lower limit sees fewer.
        original: leave the later tokens of a word to be seen, as Salazar et al. did.
        batch_tokens: tokens computed at once; less, less memory.

    Raises:
        PretrainError: there are no words, or the tokenizer cannot say which letters a token stands for.
    """
    texts = [" ".join(text.split()) for text in texts]
    if not any(texts):
        raise PretrainError("there are no words in these texts")
    if not model.tokenizer.is_fast:
        raise PretrainError(
            f"{model.name}: its tokenizer does not say where in a text its tokens are; a fast one (tokenizer.json) does"
        )
    size = min(window, model.limit) - len(model.before) - len(model.after)
    if size < 1:
        raise PretrainError(f"a window of {min(window, model.limit)} tokens has no room for words")
    nats = np.zeros(len(texts))
    counts = np.zeros((3, len(texts)), np.int64)
    unknown = 0
    same: dict[int, list[_Window]] = defaultdict(list)
    for number, text in enumerate(texts):
        chosen = _chosen(text, words)
        written = text.split(" ")
        counts[0, number] = len(chosen)
        counts[2, number] = sum(len(written[word]) + (word > 0) for word in chosen)
        for found in _windows(model, number, text, chosen, size):
            tokens = [token for start, end in found.words for token in found.ids[start:end]]
            counts[1, number] += len(tokens)
            unknown += tokens.count(model.tokenizer.unk_token_id)
            same[len(found.ids)].append(found)
    surprises = _hidden_in_turn if model.masked else _from_left_to_right
    with torch.inference_mode():
        for length in sorted(same, reverse=True):  # rows of one length need no padding; what fits first, fits
            rows = max(1, batch_tokens // length)
            for number, surprise in surprises(model, same[length], rows, original):
                nats[number] += surprise
    return Score(model.name, model.masked, nats, counts[0], counts[1], counts[2], unknown)


def _chosen(text: str, words: int | None) -> set[int]:
    """The places of the words to guess: the same whatever the model, the machine and the other texts."""
    there = text.count(" ") + 1 if text else 0
    every = range(there)
    return set(every if words is None or words >= there else random.Random(text).sample(every, words))


def _windows(model: LanguageModel, number: int, text: str, chosen: set[int], size: int) -> Iterator[_Window]:
    told = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    ids = told["input_ids"]
    # A space belongs to the word that follows it, and so does a token that begins with one.
    spaces = list(accumulate(int(letter == " ") for letter in text))
    owners = list(accumulate((spaces[min(start, len(text) - 1)] for start, _ in told["offset_mapping"]), max))
    shift, start = len(model.before), 0
    while start < len(ids):
        rest = len(ids) - start
        end = start + math.ceil(rest / math.ceil(rest / size))
        if end < len(ids):
            between = bisect_left(owners, owners[end])
            # Where one word is more than the window's fair share, it has what it needs, or all there is.
            end = between if between > start else min(start + size, bisect_right(owners, owners[end]))
        bounds = [place for place in range(start, end) if place == start or owners[place] != owners[place - 1]]
        words = [
            (one - start + shift, other - start + shift)
            for one, other in zip(bounds, [*bounds[1:], end], strict=True)
            if owners[one] in chosen
        ]
        if words:
            yield _Window(number, [*model.before, *ids[start:end], *model.after], words)
        start = end


def _hidden_in_turn(
    model: LanguageModel, windows: list[_Window], rows: int, original: bool
) -> Iterator[tuple[int, float]]:
    """The surprise at each token to guess when it is hidden, with its text."""
    device = model.model.device
    ids = torch.tensor([window.ids for window in windows], device=device)
    copies = [
        (number, place, place + 1 if original else end)
        for number, window in enumerate(windows)
        for start, end in window.words
        for place in range(start, end)
    ]
    for at in range(0, len(copies), rows):
        some = copies[at : at + rows]
        window, place, end = torch.tensor(some, device=device).unbind(dim=1)
        shown, column = ids[window], torch.arange(ids.shape[1], device=device)
        hidden = (column >= place[:, None]) & (column < end[:, None])
        logits = model.logits(shown.masked_fill(hidden, model.tokenizer.mask_token_id), place)
        goals = shown.gather(1, place[:, None])[:, 0]
        surprises = torch.nn.functional.cross_entropy(logits, goals, reduction="none").tolist()
        yield from ((windows[number].text, one) for (number, _, _), one in zip(some, surprises, strict=True))


def _from_left_to_right(
    model: LanguageModel, windows: list[_Window], rows: int, original: bool
) -> Iterator[tuple[int, float]]:
    """The surprise at the tokens to guess when all before them is seen, with their text."""
    for at in range(0, len(windows), rows):
        some = windows[at : at + rows]
        ids = torch.tensor([window.ids for window in some], device=model.model.device)
        for window, row, logits in zip(some, ids, model.model(input_ids=ids).logits, strict=True):
            surprises = torch.nn.functional.cross_entropy(logits[:-1].float(), row[1:], reduction="none").double()
            yield from ((window.text, float(surprises[start - 1 : end - 1].sum())) for start, end in window.words)


@dataclass(frozen=True, slots=True)
class Gap:
    """The perplexity by the word of one model over that of another, and the interval of 95 %.

    Below 1 the first foresees the texts better. There is no interval over a single text.
    """

    ratio: float
    low: float | None
    high: float | None


def gap(one: Score, other: Score, resamples: int = 1_000, seed: int = 0) -> Gap:
    """How far two models are apart on the same texts.

    Texts are drawn with replacement, the same for both models, for some texts are hard for any model; percentiles of
    the bootstrap (Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13).

    Args:
        one: the model in question.
        other: the one that it is held against.
        resamples: of the bootstrap.
        seed: of the draws.

    Raises:
        ValueError: they did not guess the same words.
    """
    if not np.array_equal(one.words, other.words) or not np.array_equal(one.characters, other.characters):
        raise ValueError(f"{one.model} and {other.model} did not guess the same words")
    further, words = one.nats - other.nats, one.words
    ratio = _exp(further.sum() / words.sum())
    filled = np.flatnonzero(words)
    if len(filled) < 2:
        return Gap(ratio, None, None)
    chance = np.random.default_rng(seed)
    draws = (chance.choice(filled, len(filled)) for _ in range(resamples))
    logs = [further[drawn].sum() / words[drawn].sum() for drawn in draws]
    low, high = np.quantile(logs, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Gap(ratio, _exp(low), _exp(high))


# ---------------------------------------------------------------------------------------------------------------------
# All of it


def read_texts(path: str | Path) -> Iterator[str]:
    """Texts, one after the other.

    Args:
        path: paragraphs (see :func:`corpuskit.paragraphs.read.files`), JSON Lines with `text`, or plain text: a
            paragraph a text if there are blank lines, else a line.

    Raises:
        PretrainError: a file cannot be read, or a line of it is no object with `text`.
        ParagraphsError: there are no paragraphs.
    """
    path = Path(path)
    if not path.is_file() or path.suffix == ".parquet":
        read.dataset(path, ["text"])
        for file in read.files(path):
            for batch in read.file_batches(file, ["text"], rows=4_096):
                yield from (text for text in batch["text"].to_pylist() if text and text.strip())
        return
    try:
        with path.open(encoding="utf-8-sig") as lines:
            found: Iterator[str]
            if path.suffix in (".jsonl", ".ndjson"):
                found = (_text_of(path, number, line) for number, line in enumerate(lines, 1) if line.strip())
            else:
                whole = lines.read()
                found = iter(re.split(r"\n\s*\n", whole) if re.search(r"\S\n\s*\n\s*\S", whole) else whole.splitlines())
            yield from (text for text in found if text.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise PretrainError(f"{path} cannot be read: {error}") from None


def _text_of(path: Path, number: int, line: str) -> str:
    try:
        return str(orjson.loads(line)["text"] or "")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise PretrainError(f'{path}, line {number}: expected an object such as {{"text": "…"}}') from None


def sample(texts: Iterable[str], number: int) -> list[str]:
    """Some of the texts, by their hashes: the same ones in whatever order they come."""
    return heapq.nsmallest(number, texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def look(
    models: Sequence[str | Path],
    texts: Sequence[str] = (),
    held_out: Mapping[str, Sequence[str]] | None = None,
    top: int = 5,
    words: int | None = None,
    original: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Put models side by side.

    Args:
        models: names or folders; the others are held against the first.
        texts: with gaps, see :func:`predictions`.
        held_out: texts by the name of their set, see :func:`pseudo_perplexity`.
        top: guesses for each gap.
        words: of each text that are guessed; all unless given.
        original: see :func:`pseudo_perplexity`.
        tell: called with a line before each longer piece of work.

    Returns:
        What is written as JSON: `predictions`, a list by text, and `perplexity`, by set.

    Raises:
        PretrainError: see the functions above.
    """
    loaded = [load(name) for name in dict.fromkeys(map(str, models))]
    told: dict[str, Any] = {"predictions": [], "perplexity": {}}
    for text in texts:
        guesses = {model.name: predictions(model, text, top) for model in loaded}
        shown = {name: [[asdict(guess) for guess in one] for one in each] for name, each in guesses.items()}
        told["predictions"].append({"text": text, "models": shown})
    for name, some in (held_out or {}).items():
        scores = []
        for model in loaded:
            tell(f"{name}: {model.name} guesses words of {len(some):,} texts on {model.model.device}")
            scores.append(pseudo_perplexity(model, some, words, original=original))
        told["perplexity"][name] = {
            "texts": len(some),
            "words": int(scores[0].words.sum()),
            "models": {score.model: score.to_dict() for score in scores},
            "against_the_first": {score.model: asdict(gap(score, scores[0])) for score in scores[1:]},
        }
    return told
