"""Tokens of a data set, made once and mapped into memory after: training never waits for a tokenizer.

A folder holds ``train/`` and ``validation/``, each with

    ids.bin         uint16, or uint32 where the vocabulary needs it; no special tokens
    starts.bin      uint8, 1 where a token begins a word
    documents.npy   int64, where each document begins in them, and at last where they end
    weights.npy     float32 for each document, 1 on average; where a column of weights was named

and ``tokens.json``, which says what they were made of, and which is written last.

**A word** is what white space and punctuation delimit, and each mark of punctuation is one by itself, as BERT has it
(Devlin et al. 2019): `l'œdème` is three. It is told from the vocabulary: a token begins one if its text begins with
white space (`▁`, `Ġ`) or punctuation, if the one before ends with it, or if a vocabulary that marks what goes on (`##`)
does not mark it. What a token holds is never divided (`▁l'` is one start), a lone `▁` or `Ġ` belongs to the word behind
it, what is unknown counts as a letter, and a byte inside of a character begins nothing. Where a vocabulary marks
nothing, the words are those that the tokenizer cuts the text into before it looks them up.
"""

from __future__ import annotations

import glob
import hashlib
import math
import re
import shutil
import time
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from corpuskit import runs
from corpuskit.files import InputFile
from corpuskit.paragraphs import read
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.pretrain.config import PretrainError, Source

Array = npt.NDArray[Any]
Unit = Literal["article", "paragraph"]

TRAIN, VALIDATION = "train", "validation"
TOKENS = "tokens.json"
#: Of the files: another number, and they are made anew.
FORMAT = 1
#: Characters that are tokenised at a time, and seconds between two lines about it.
_CHARACTERS, _SECONDS = 2_000_000, 10
#: Rows that are read at a time.
_ROWS = 1_024
_SPLIT = re.compile(r"(train|validation|test)-.*\.parquet")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, slots=True)
class Part:
    """The documents that train or those held out, as arrays that are mapped into memory."""

    ids: Array
    starts: Array
    #: Where each document begins, and at last where they end.
    documents: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.documents) - 1

    @property
    def lengths(self) -> Array:
        """Tokens of each document."""
        found: Array = np.diff(self.documents)
        return found


@dataclass(frozen=True, slots=True)
class Tokens:
    """A data set as tokens: where they are, its name in figures, what ``tokens.json`` says, and both parts."""

    folder: Path
    name: str
    told: dict[str, Any]
    train: Part
    validation: Part

    @property
    def documents(self) -> int:
        """That train."""
        return len(self.train)

    @property
    def tokens(self) -> int:
        """That train."""
        return len(self.train.ids)

    @property
    def held_out_documents(self) -> int:
        """For validation."""
        return len(self.validation)

    @property
    def held_out_tokens(self) -> int:
        """For validation."""
        return len(self.validation.ids)

    @classmethod
    def open(cls, folder: str | Path, name: str = "") -> Tokens:
        """Open what :func:`tokenize` wrote.

        Args:
            folder: with ``tokens.json``.
            name: what the data set is called in figures; the name of the folder unless given.

        Raises:
            PretrainError: it is not there, of another version, or not whole.
        """
        folder = Path(folder)
        try:
            told: dict[str, Any] = orjson.loads((folder / TOKENS).read_bytes())
            if told["format"] != FORMAT:
                raise PretrainError(f"{folder}: tokens of another version of corpuskit: remove the folder")
            train, validation = (_mapped(folder, part, told) for part in (TRAIN, VALIDATION))
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise PretrainError(f"{folder}: its tokens are damaged ({error}): remove the folder") from None
        return cls(folder, name or folder.name, told, train, validation)


def _mapped(folder: Path, part: str, told: dict[str, Any]) -> Part:
    """Map the arrays of a part into memory.

    Raises:
        OSError, ValueError: one is not there, or not what the counts say.
    """
    documents, tokens = (told["parts"][part][name] for name in ("documents", "tokens"))
    ids, starts = (np.memmap(folder / part / f"{name}.bin", dtype, "r") for name, dtype in
                   (("ids", told["ids"]), ("starts", "uint8")))  # fmt: skip
    offsets = np.load(folder / part / "documents.npy", mmap_mode="r")
    weights = None
    if told["weights"] is not None and part == TRAIN:
        weights = np.load(folder / part / "weights.npy", mmap_mode="r")
    lengths = [len(offsets) - 1, len(ids), len(starts), int(offsets[-1])]
    lengths += [] if weights is None else [len(weights)]
    expected = [documents, *[tokens] * 3, documents][: len(lengths)]
    if lengths != expected:
        raise ValueError(f"{part}: lengths are {lengths}, not {expected}")
    return Part(ids, starts, offsets, weights)


def tokenize(
    source: Source,
    tokenizer: str | Path | Any,
    unit: Unit,
    held_out: float,
    target: str | Path,
    tell: Callable[[str], None] = lambda line: None,
) -> Tokens:
    """Tokenise a data set, or open what was made of it before.

    A document is a run of rows of one article (and copy), joined by line ends; or a row. What stands in a column
    ``prefix`` goes before the text; rows without a text are left out, and counted. The documents held out are the
    validation split where the data set has one (its test split is not read), else those of some articles by the hash
    of their ids: the same in every data set and run, and each only once however many copies there are.

    Args:
        source: the data set.
        tokenizer: its name or folder, or loaded; it must be a fast one.
        unit: `article` or `paragraph`.
        held_out: per cent of the articles.
        target: folder of tokens, of this data set and any others: each gets a folder, named by what decides it.
        tell: called with a line now and then.

    Raises:
        PretrainError: the data set, its weights or the tokenizer cannot be used, or nothing would train or be held out.
    """
    backend = fast_tokenizer(tokenizer)
    try:
        sides = files_by_split(Path(source.path))
        for side, files in sides.items():
            for file in files:
                schema = read.dataset(file, needs=["text"]).schema
                if source.weights and side == TRAIN:
                    _check_weights(file, source.weights, schema)
    except ParagraphsError as error:
        raise PretrainError(str(error)) from None
    decisive = {
        "format": FORMAT,
        "tokenizer": tokenizer_sha256(backend),
        "inputs": describe_files(sides),
        "unit": unit,
        "held_out": "validation split" if VALIDATION in sides else held_out,
        "weights": source.weights,
    }
    fingerprint = runs.fingerprint("corpuskit tokens", decisive)
    name, folder = source.name or called(source.path), Path(target) / fingerprint[:16]
    with suppress(PretrainError):
        return Tokens.open(folder, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    taken = f"another run is making {folder}: wait for it, or stop it"
    try:
        with runs.locked(folder.with_suffix(".lock"), lambda: taken):
            with suppress(PretrainError):  # the other run has just ended
                return Tokens.open(folder, name)
            fresh = folder.with_suffix(".partial")
            for left in (fresh, folder):
                shutil.rmtree(left, ignore_errors=True)
            told = _write(fresh, backend, source, sides, unit, held_out, lambda line: tell(f"{name}: {line}"))
            runs.write_json(fresh / TOKENS, {"fingerprint": fingerprint} | decisive | told)
            fresh.replace(folder)
    except runs.RunError as error:
        raise PretrainError(str(error)) from None
    return Tokens.open(folder, name)


def called(path: str) -> str:
    """What a data set is called that has no name: as its folder, or its only file."""
    place = Path(path).absolute()
    while glob.has_magic(place.name):
        place = place.parent
    return place.name.removesuffix(".parquet")


def load_tokenizer(name: str | Path, revision: str | None = None) -> Any:
    """The tokenizer of a folder or a name of the Hub.

    Raises:
        PretrainError: it cannot be read, or is no fast one.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise PretrainError("reading a tokenizer needs transformers: pip install 'corpuskit-fr[pretrain]'") from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name), revision=revision)
    except Exception as error:  # whatever a folder or a server may hold
        first = str(error).partition("\n")[0]
        raise PretrainError(
            f"tokenizer {name} cannot be read: {first} Give a name of the Hugging Face hub, or a folder with "
            "tokenizer.json"
        ) from None
    if not tokenizer.is_fast:
        raise PretrainError(f"tokenizer {name} is written in Python and too slow: give one with a tokenizer.json")
    return tokenizer


def fast_tokenizer(name: str | Path | Any) -> Any:
    """The Rust tokenizer of a folder, a name of the Hub, or one that is loaded: a copy without limits.

    What looks like a special token is text to it.

    Raises:
        PretrainError: it cannot be read, or is no fast one.
    """
    loaded = load_tokenizer(name) if isinstance(name, str | Path) else name
    backend = type(loaded.backend_tokenizer).from_str(loaded.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def tokenizer_sha256(backend: Any) -> str:
    """The SHA-256 of everything that decides how a tokenizer of :func:`fast_tokenizer` cuts."""
    return hashlib.sha256(backend.to_str().encode()).hexdigest()


def is_held_out(article: str, held_out: float) -> bool:
    """Whether an article is among the per cent that are held out: by the hash of its id, as splits are."""
    return int.from_bytes(hashlib.blake2b(article.encode(), digest_size=8).digest(), "big") / 2**64 * 100 < held_out


def files_by_split(path: Path) -> dict[str, list[Path]]:
    """The files of a data set that train, and where it has splits, those of validation.

    Raises:
        ParagraphsError: there are none.
        PretrainError: there are several tables, or only a test split.
    """
    data = path / "data"
    if data.is_dir() and not (path / "paragraphs").is_dir():
        tables = sorted(table for table in [data, *data.iterdir()] if any(table.glob("*.parquet")))
        tables = [table for table in tables if table.name != "articles"] or tables
        if len(tables) > 1:
            raise PretrainError(f"{path} holds several data sets: give one of {', '.join(map(str, tables))}")
        path = tables[0] if tables else path
    found: dict[str, list[Path]] = {}
    for file in read.files(path):
        named = _SPLIT.fullmatch(file.name)
        found.setdefault(named[1] if named else TRAIN, []).append(file)
    found.pop("test", None)
    if TRAIN not in found:
        raise PretrainError(f"{path}: nothing to train on, there is no train-*.parquet; give the whole data set")
    return {side: found[side] for side in (TRAIN, VALIDATION) if side in found}


def describe_files(sides: dict[str, list[Path]]) -> list[dict[str, Any]]:
    """What a manifest says of the files of :func:`files_by_split`."""
    files = [(side, path) for side, paths in sides.items() for path in paths]
    told = runs.describe_all([InputFile(str(path), path.name, path.stat().st_size) for _, path in files])
    return [{"source": side} | one for (side, _), one in zip(files, told, strict=True)]


def _check_weights(file: Path, name: str, schema: pa.Schema) -> None:
    if name not in schema.names:
        raise PretrainError(f"{file}: no column {name!r} of weights; there are {', '.join(schema.names)}")
    type = schema.field(name).type
    if not (pa.types.is_floating(type) or pa.types.is_integer(type)):
        raise PretrainError(f"{file}: the column {name!r} of weights holds {type}, no numbers")


class _Row(NamedTuple):
    """A text, and where it belongs."""

    article: str | None
    copy: int | None
    name: str | None
    text: str
    weight: float


class _Document(NamedTuple):
    """A text, and what decides what becomes of it."""

    text: str
    article: str
    copy: int
    weight: float


class _Reader:
    """The documents of a data set, in the order of its files; counts the rows that have no text."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.withheld = 0

    def documents(self, files: Iterable[Path], weights: str | None) -> Iterator[_Document]:
        """Runs of rows, or rows.

        Raises:
            PretrainError: a file cannot be read, or a weight is none.
        """
        held: list[_Row] = []
        for row in self._rows(files, weights):
            if held and (self._unit == "paragraph" or row.article is None or row[:2] != held[0][:2]):
                yield _joined(held)
                held = []
            held.append(row)
        if held:
            yield _joined(held)

    def _rows(self, files: Iterable[Path], weights: str | None) -> Iterator[_Row]:
        columns = ["article_id", "copy", "id", "prefix", "text", *([weights] if weights else [])]
        for file in files:
            number = -1
            try:
                for batch in read.file_batches(file, columns, _ROWS):
                    values = [column.to_pylist() for column in batch.columns]
                    values += [] if weights else [[1.0] * len(batch)]
                    for article, copy, name, prefix, text, weight in zip(*values, strict=True):
                        number += 1
                        if text is None:
                            self.withheld += 1
                            continue
                        if weight is None or not 0 <= weight < math.inf:
                            raise PretrainError(
                                f"{file}: row {number} (from 0) has {weights} {weight}: a weight is a number from 0 on"
                            )
                        yield _Row(article, copy, name, (prefix or "") + text, weight)
            except (pa.ArrowInvalid, OSError) as error:
                raise PretrainError(f"{file} cannot be read: {error}") from None


def _joined(rows: list[_Row]) -> _Document:
    first, weight = rows[0], sum(row.weight for row in rows) / len(rows)
    name = first.article or first.name or first.text
    return _Document("\n".join(row.text for row in rows), name, first.copy or 0, weight)


def is_bytewise(told: dict[str, Any]) -> bool:
    """Whether the tokens of a tokenizer, as its JSON tells of it, are bytes that are shown as characters (`Ġ`)."""
    return b'"ByteLevel"' in orjson.dumps([told[part] for part in ("normalizer", "pre_tokenizer", "decoder")])


class _Words:
    """Which tokens begin a word, see the beginning of this file.

    Args:
        backend: the tokenizer.
    """

    def __init__(self, backend: Any) -> None:
        told = orjson.loads(backend.to_str())
        model, vocabulary = told["model"], backend.get_vocab(with_added_tokens=True)
        bytewise = is_bytewise(told)
        spaced = not bytewise and any(token.startswith("▁") for token in vocabulary)
        whole = model["type"] == "WordLevel"
        going_on, ending = (model.get(name) or "" for name in ("continuing_subword_prefix", "end_of_word_suffix"))
        self.size = max(vocabulary.values(), default=0) + 1
        #: Whether the vocabulary tells.
        self.marked = bytewise or spaced or whole or bool(going_on or ending)
        #: Of each token: 2 where it begins with white space and 1 where a word begins with it otherwise; whether one
        #: ends with it; whether it is but a mark; whether it begins inside of a character.
        self._opens = np.zeros(self.size, np.int8)
        self._closes, self._lone, self._inside = (np.zeros(self.size, np.bool_) for _ in range(3))
        added, unknown = (
            backend.get_added_tokens_decoder(),
            (model.get("unk_id"), vocabulary.get(model.get("unk_token"))),
        )
        for token, number in vocabulary.items():
            begins = whole or bool(going_on and not token.startswith(going_on))
            ends = bool(ending and token.endswith(ending))
            text = token.removeprefix(going_on).removesuffix(ending)
            if number in unknown:
                text = ""
            elif number not in added:
                byte = _BYTE.fullmatch(token)
                if bytewise or byte:
                    data = bytes.fromhex(byte[1]) if byte else bytes(_BYTES.get(letter, 0) for letter in text)
                    text = data.decode("utf-8", "ignore")
                    self._inside[number] = b"\x80" <= data[:1] < b"\xc0"
                elif spaced:
                    text = text.replace("▁", " ")
            self._lone[number] = text == " "
            self._opens[number] = 2 if text[:1].isspace() else begins or _delimits(text[:1])
            self._closes[number] = ends or (text != " " and _delimits(text[-1:]))

    def starts(self, encodings: list[Any], ids: Array, firsts: Array) -> Array:
        """Which tokens begin a word.

        Args:
            encodings: what the tokenizer made of some texts.
            ids: their tokens, one after the other.
            firsts: where each text begins that has any.
        """
        found: Array
        if self.marked:
            found = self._opens[ids] > 0
            found[1:] = (self._opens[ids[1:]] > self._lone[ids[:-1]]) | self._closes[ids[:-1]]
            found &= ~self._inside[ids]
        else:
            words = (-1 if word is None else word for one in encodings for word in one.word_ids)
            found = np.diff(np.fromiter(words, np.int64, len(ids)), prepend=-1) != 0
        found[firsts] = True
        return found


def _delimits(character: str) -> bool:
    """Whether it is white space or punctuation, as BERT has it: `$`, `+` and the like are, as all ASCII signs."""
    if character.isascii():
        return character != "" and not character.isalnum()
    return character.isspace() or unicodedata.category(character).startswith("P")


def _byte_alphabet() -> dict[str, int]:
    """The byte of each character that a byte-level vocabulary writes it as (Radford et al. 2019)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()


class _Writer:
    """Writes a part, document by document; what it holds is two numbers of each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._lengths, self._weights = array("q"), array("d")

    def add(self, ids: Array, starts: Array, lengths: Array, weights: Array) -> None:
        """Append documents."""
        for name, values in (("ids.bin", ids), ("starts.bin", starts)):
            with open(self._folder / name, "ab") as file:
                values.tofile(file)
        self._lengths.frombytes(lengths.astype(np.int64).tobytes())
        self._weights.frombytes(weights.astype(np.float64).tobytes())

    def end(self, weighted: bool) -> dict[str, int]:
        """Write what is known only now; documents and tokens."""
        lengths, weights = np.frombuffer(self._lengths, np.int64), np.frombuffer(self._weights, np.float64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        np.save(self._folder / "documents.npy", offsets)
        if weighted and len(weights):
            if not (mean := weights.mean()):
                raise PretrainError("all weights are 0, and nothing would come: give another column")
            np.save(self._folder / "weights.npy", (weights / mean).astype(np.float32))
        return {"documents": len(lengths), "tokens": int(offsets[-1])}


def _write(
    folder: Path,
    backend: Any,
    source: Source,
    sides: dict[str, list[Path]],
    unit: Unit,
    held_out: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Write both parts; what ``tokens.json`` says of them.

    Raises:
        PretrainError: see :func:`tokenize`.
    """
    words, reader = _Words(backend), _Reader(unit)
    dtype = np.dtype(np.uint16 if words.size <= 1 << 16 else np.uint32)
    split = VALIDATION in sides

    def documents() -> Iterator[tuple[_Document, bool]]:
        for side, files in sides.items():
            for document in reader.documents(files, source.weights if side == TRAIN else None):
                aside = side == VALIDATION if split else is_held_out(document.article, held_out)
                if not (aside and document.copy):
                    yield document, aside

    parts = [_Writer(folder / part) for part in (TRAIN, VALIDATION)]
    said, seen, cut = time.monotonic(), 0, 0
    for some, encodings in _encoded(backend, _batches(documents()), words.marked):
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        ids = np.fromiter(chain.from_iterable(one.ids for one in encodings), dtype, int(lengths.sum()))
        starts = words.starts(encodings, ids, (np.cumsum(lengths) - lengths)[lengths > 0])
        weights = np.array([document.weight for document, _ in some])
        aside = np.array([told for _, told in some])
        for part, chosen in zip(parts, (~aside, aside), strict=True):
            chosen &= lengths > 0
            own = np.repeat(chosen, lengths)
            part.add(ids[own], starts[own], lengths[chosen], weights[chosen])
        seen, cut = seen + len(some), cut + len(ids)
        if time.monotonic() - said > _SECONDS:
            said = time.monotonic()
            tell(f"{seen:,} documents, {cut:,} tokens")
    try:
        train, validation = parts[0].end(source.weights is not None), parts[1].end(False)
    except PretrainError as error:
        raise PretrainError(f"{source.path}: {error}") from None
    withheld = reader.withheld
    _check(source.path, train["documents"], validation["documents"], withheld, None if split else held_out)
    return {
        "ids": dtype.name,
        "vocabulary": words.size,
        "withheld": withheld,
        "parts": {TRAIN: train, VALIDATION: validation},
    }


def _check(path: str, train: int, aside: int, withheld: int, held_out: float | None) -> None:
    """Both parts must hold something.

    Args:
        path: of the data set.
        train: documents that train.
        aside: documents that are held out.
        withheld: rows without a text.
        held_out: per cent of the articles, None where the data set has a split.

    Raises:
        PretrainError: one is empty.
    """
    without = f" ({withheld:,} rows are without one: put the texts back with `corpuskit refill`)" if withheld else ""
    if not train and (not aside or held_out is None):
        raise PretrainError(f"{path}: there is no text to train on{without}; give another data set")
    if not train:
        raise PretrainError(f"{path}: all {aside:,} documents are held out, at {held_out:g} %: lower `data.held_out`")
    if not aside and held_out is None:
        raise PretrainError(f"{path}: its validation split has no text{without}: publish it with a larger one")
    if not aside:
        raise PretrainError(
            f"{path}: none of {train:,} documents is held out, at {held_out:g} %, to measure the loss on: raise "
            "`data.held_out`"
        )


def _batches(documents: Iterable[tuple[_Document, bool]]) -> Iterator[list[tuple[_Document, bool]]]:
    """Documents that are tokenised together."""
    some: list[tuple[_Document, bool]] = []
    characters = 0
    for one in documents:
        some.append(one)
        characters += len(one[0].text)
        if characters >= _CHARACTERS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _encoded(
    backend: Any, batches: Iterable[list[tuple[_Document, bool]]], fast: bool
) -> Iterator[tuple[list[tuple[_Document, bool]], list[Any]]]:
    """Documents and their tokens; the next are tokenised, outside of Python, while these are written.

    Args:
        backend: the tokenizer.
        batches: documents.
        fast: without the words that it cuts the text into.
    """
    encode = backend.encode_batch_fast if fast else backend.encode_batch
    with ThreadPoolExecutor(1) as pool:
        before = None
        for some in batches:
            found = pool.submit(encode, [document.text for document, _ in some], add_special_tokens=False)
            if before:
                yield before[0], before[1].result()
            before = some, found
        if before:
            yield before[0], before[1].result()
