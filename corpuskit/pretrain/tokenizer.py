"""A tokenizer of a data set's own, and what it is worth beside another: words of the field are whole or in pieces.

A word of a text is cut before it is looked up: at spaces, before and after marks, around each digit, and after an
apostrophe, which stays with the letters before it (`l'` `œdème`). What is left is cut into the pieces of a vocabulary
that is learnt: of a Unigram language model (Kudo 2018, https://aclanthology.org/P18-1007) with SentencePiece, as
CamemBERT's is, or by merging pairs (BPE; Sennrich et al. 2016, https://aclanthology.org/P16-1162). A character that is
rare is its bytes in UTF-8, so that nothing is unknown and no text is changed.
"""

from __future__ import annotations

import io
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow.parquet as pq

from corpuskit import energy, runs
from corpuskit.clean.tokens import Tokens
from corpuskit.paragraphs import read
from corpuskit.pretrain import tokens
from corpuskit.pretrain.config import PretrainError

try:
    import regex  # type: ignore[import-untyped]
    import sentencepiece
    import tokenizers
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer
except ImportError as error:
    raise PretrainError(
        f"making a tokenizer needs Transformers and SentencePiece ({error}): pip install 'corpuskit-fr[pretrain]'"
    ) from None

Array = npt.NDArray[Any]
Kind = Literal["unigram", "bpe"]

TOOL = "corpuskit tokenizer"
REPORT = "report.json"
#: In the order of their numbers, those of RoBERTa and CamemBERT: models take the padding to be 1.
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_ROLES = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
#: What is cut apart, once a space is written `▁`.
_CUT = r"▁?\p{L}[\p{L}\p{M}]*['’]?|▁?\p{N}|▁?[^\p{L}\p{N}▁]+|▁"
#: Bytes of text that are read: of those to learn from and those to measure on. Of more, some articles.
LEARNT, MEASURED = 500_000_000, 5_000_000
#: Different words that are learnt from, the most frequent (twice as many are held), and characters of one, at most.
_WORDS, _LONG = 300_000, 64
#: Characters of a piece, at most.
_LONGEST = 24
#: Characters that SentencePiece learns from, which holds each word as often as it comes: of more, counts are lowered.
_SPELT = 50_000_000
#: Share of the text whose characters, the rarest, are left to bytes.
_RARE = 1e-5
#: Examples that are shown; how often a word comes to be one, and its letters at least.
_EXAMPLES, _LEAST, _LETTERS = 10, 3, 4
_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished tokenizer: its folder, ``report.json``, the manifest; False when the folder already held it."""

    output: Path
    report: dict[str, Any]
    manifest: dict[str, Any]
    worked: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """What a tokenizer makes of some texts.

    Attributes:
        vocabulary: its entries.
        tokens: of the texts, special ones aside.
        subwords_per_word: tokens that a word of letters is cut into (its fertility; Rust et al. 2021,
            https://aclanthology.org/2021.acl-long.243).
        whole_words: share of the words of letters that are one token.
        tokens_per_number: the same for numbers.
        characters_per_token: of the texts.
        unknown: share of the tokens that stand for what the tokenizer does not know.
        bytes: share of the tokens that are one byte of a character.
    """

    vocabulary: int
    tokens: int
    subwords_per_word: float
    whole_words: float
    tokens_per_number: float
    characters_per_token: float
    unknown: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Example:
    """A word, how often the texts have it, and what two tokenizers cut it into."""

    word: str
    count: int
    own: list[str]
    other: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A tokenizer on texts, and beside another.

    Attributes:
        texts: that were measured, with their words of letters, numbers and characters.
        own: what the tokenizer makes of them.
        other: what the other does.
        shared: pieces that both vocabularies have, however they mark the beginning of a word.
        shared_of_own: their share of the tokenizer's pieces.
        shared_of_other: of the other's.
        better: frequent words that the other cuts into most more pieces.
        worse: into most fewer.
    """

    texts: int
    words: int
    numbers: int
    characters: int
    own: Measure
    other: Measure | None = None
    shared: int | None = None
    shared_of_own: float | None = None
    shared_of_other: float | None = None
    better: Sequence[Example] = ()
    worse: Sequence[Example] = ()


def train(
    source: str | Path,
    output: str | Path,
    *,
    vocabulary: int = 32_000,
    model_type: Kind = "unigram",
    against: str | Path | None = None,
    held_out: float = 1.0,
    max_length: int = 512,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a tokenizer on a data set, and measure it on articles that it has not seen.

    Args:
        source: what `corpuskit build`, `sample` or `publish` wrote, or Parquet files with `text`.
        output: folder to write, which `AutoTokenizer.from_pretrained` opens.
        vocabulary: entries, special ones and bytes among them.
        model_type: `unigram` or `bpe`.
        against: another tokenizer to compare with: a name of the Hub, or a folder.
        held_out: per cent of the articles that are measured on, by the hash of their ids; where the data set has a
            validation split it is that instead.
        max_length: tokens of a text, as the folder says to models.
        overwrite: replace another tokenizer that is in the folder.
        tell: called with a line now and then.

    Raises:
        PretrainError: there is too little text or vocabulary, the other tokenizer cannot be used, or another run is
            in the folder.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
    """
    source, output = Path(source), Path(output).absolute()
    if model_type not in get_args(Kind):
        raise PretrainError(f"model type {model_type}: expected {' or '.join(get_args(Kind))}")
    if not 0 < held_out < 100:
        raise PretrainError(f"{held_out:g} % of the articles cannot be held out: give more than 0, less than 100")
    other = tokens.fast_tokenizer(against) if against is not None else None
    texts = _Texts(source, held_out)
    options = {"vocabulary": vocabulary, "model_type": model_type, "held_out": texts.held_out, "max_length": max_length}
    versions = runs.versions() | {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__}
    inputs = tokens.describe_files(texts.files)
    fingerprint = runs.fingerprint(TOOL, options, inputs, versions)
    started, begun, meter = runs.now(), time.perf_counter(), energy.counting()
    try:
        runs.apart(output, source)
        finished = runs.done_before(output, fingerprint, overwrite, TOOL)
        if finished is None:
            with runs.working(output, fingerprint) as work:
                fresh = work / "output"
                if not (fresh / runs.MANIFEST).exists():
                    shutil.rmtree(fresh, ignore_errors=True)
                    fresh.mkdir()
                    told = _write(fresh, texts, vocabulary, model_type, max_length, tell)
                    manifest = {
                        "tool": TOOL,
                        "fingerprint": fingerprint,
                        "started": started,
                        "seconds": {"train": round(time.perf_counter() - begun, 3)},
                        "energy": meter.read().told,
                        "before": energy.before(source),
                        "options": options,
                        **told,
                        "versions": versions,
                        "machine": runs.machine(),
                        "inputs": inputs,
                        "outputs": [{"source": "tokenizer"} | one for one in runs.describe_folder(fresh)],
                    }
                    runs.write_json(fresh / runs.MANIFEST, manifest)
                runs.publish(fresh, output)
                shutil.rmtree(work)
    except runs.RunError as error:
        raise PretrainError(str(error)) from None
    done = runs.read_manifest(output)
    assert done is not None
    report = _report(output, fingerprint, texts, other, None if against is None else str(against))
    return Trained(output, report, done, worked=finished is None)


def compare(tokenizer: Tokenizer, other: Tokenizer | None, texts: Iterable[str], least: int = _LEAST) -> Comparison:
    """Measure a tokenizer on texts, beside another.

    Words are those of :mod:`corpuskit.clean.words`, found without either tokenizer: those of letters and the numbers.
    A token counts for each word that it has a character of; the space before a word is part of it.

    Args:
        tokenizer: the one.
        other: with which to compare, if any.
        texts: that neither was trained on, best.
        least: how often a word comes to be an example.

    Raises:
        PretrainError: the texts have no words.
    """
    counts = [_Count(one) for one in (tokenizer, other) if one is not None]
    seen, words, numbers, characters = 0, 0, 0, 0
    known = Counter[str]()
    texts = iter(texts)
    while some := list(islice(texts, _ROWS // 4)):
        found = Tokens(some)
        spelt, figures = found.lettered & ~found.numeric, found.numeric & ~found.lettered
        seen, characters = seen + len(some), characters + sum(map(len, some))
        words, numbers = words + int(spelt.sum()), numbers + int(figures.sum())
        joined = "\n".join(some)
        spans = zip(found.starts[spelt].tolist(), found.ends[spelt].tolist(), strict=True)
        known.update(joined[start:end] for start, end in spans)
        for one in counts:
            one.add(found, spelt, figures)
    if not words:
        raise PretrainError("there is not one word to measure a tokenizer on: give texts")
    own, *rest = [one.measure(words, numbers, characters) for one in counts]
    told = Comparison(seen, words, numbers, characters, own)
    if other is None:
        return told
    pieces, others = _pieces(tokenizer), _pieces(other)
    shared = len(pieces & others)
    frequent = {word: count for word, count in known.items() if count >= least and len(word) >= _LETTERS}
    examples = _examples(tokenizer, other, frequent)
    return Comparison(
        seen, words, numbers, characters, own, rest[0],
        shared, shared / max(1, len(pieces)), shared / max(1, len(others)), *examples,
    )  # fmt: skip


class _Texts:
    """The texts of a data set: those to learn from, and those held out.

    Args:
        source: the data set.
        held_out: per cent of the articles.

    Raises:
        PretrainError: it cannot be used.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
    """

    def __init__(self, source: Path, held_out: float) -> None:
        self.source, self.held_out = source, float(held_out)
        self.files = tokens.files_by_split(source)
        for file in chain.from_iterable(self.files.values()):
            read.dataset(file, needs=["text"])
        self.split = tokens.VALIDATION in self.files

    def learnt(self) -> Iterator[str]:
        """Those to learn from: of more than :data:`LEARNT` bytes, of as many articles as hold about that."""
        share = min(1.0, LEARNT / max(1, self._size(tokens.TRAIN)))
        aside = 0.0 if self.split else self.held_out
        most = aside + (100 - aside) * share
        for article, _, text in self._rows(tokens.TRAIN):
            if tokens.is_held_out(article, most) and not tokens.is_held_out(article, aside):
                yield text

    def measured(self) -> Iterator[str]:
        """Those held out, each once; of more than :data:`MEASURED` bytes, of as many articles as hold about that."""
        side = tokens.VALIDATION if self.split else tokens.TRAIN
        whole = 100.0 if self.split else self.held_out
        share = min(1.0, MEASURED / max(1, self._size(side) * whole / 100))
        for article, copy, text in self._rows(side):
            if not copy and tokens.is_held_out(article, whole * share):
                yield text

    def _size(self, side: str) -> int:
        """Bytes of the texts, as the files say without being read."""
        total = 0
        for file in self.files[side]:
            told = pq.read_metadata(file)
            groups = [told.row_group(number) for number in range(told.num_row_groups)]
            columns = [group.column(place) for group in groups for place in range(group.num_columns)]
            total += sum(one.total_uncompressed_size for one in columns if one.path_in_schema == "text")
        return total

    def _rows(self, side: str) -> Iterator[tuple[str, int | None, str]]:
        for file in self.files[side]:
            for batch in read.file_batches(file, ["article_id", "id", "copy", "prefix", "text"], _ROWS):
                for article, name, copy, prefix, text in zip(*(one.to_pylist() for one in batch.columns), strict=True):
                    if text:
                        yield article or name or text, copy, (prefix or "") + text


def _write(
    folder: Path, texts: _Texts, vocabulary: int, kind: Kind, max_length: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Learn a tokenizer and write its folder; what the manifest says of it."""
    nothing = PretrainError(f"{texts.source}: there is no text to learn from; give another data set")
    if next(texts.learnt(), None) is None:
        raise nothing
    if next(texts.measured(), None) is None:
        share = "its validation split has no text" if texts.split else f"no article is held out at {texts.held_out:g} %"
        raise PretrainError(f"{texts.source}: {share}, to measure the tokenizer on: hold more out")
    words, told = _counted(texts.learnt(), tell)
    left = _frequent(words)
    if not left:
        raise nothing
    fixed, characters = len(SPECIAL) + len(_BYTES), len(set().union(*left))
    if vocabulary - fixed < characters:
        raise PretrainError(
            f"a vocabulary of {vocabulary:,} is too small: {len(SPECIAL)} special tokens, {len(_BYTES)} bytes and "
            f"{characters:,} characters of the text go into it; ask for more than {fixed + characters:,}"
        )
    tell(f"learning {vocabulary:,} entries from {len(left):,} words")
    learn = _unigram if kind == "unigram" else _bpe
    tokenizer = tokenizer_of(learn(left, vocabulary - fixed))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{role}_token": token for role, token in _ROLES.items()}
    runs.write_json(
        folder / "tokenizer_config.json",
        # What Transformers does to a text unasked would be seen in what it writes back.
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length,
         "clean_up_tokenization_spaces": False} | names,
    )  # fmt: skip
    entries = tokenizer.get_vocab_size()
    return {
        "read": told | {"different_words": len(words), "learnt_from": len(left)},
        "vocabulary": {
            "asked": vocabulary, "entries": entries, "special": len(SPECIAL), "bytes": len(_BYTES),
            "characters": characters, "pieces": entries - fixed - characters,
        },
    }  # fmt: skip


def _counted(texts: Iterable[str], tell: Callable[[str], None]) -> tuple[Counter[str], dict[str, int]]:
    """How often each word comes, as the tokenizer cuts texts; of too many the rarest are forgotten on the way."""
    words, cut, space = Counter[str](), regex.compile(_CUT), regex.compile(r"\s")
    seen = characters = 0
    for text in texts:
        written = space.sub("▁", unicodedata.normalize("NFC", text))
        words.update(cut.findall(written if written.startswith("▁") else f"▁{written}"))
        if len(words) > 2 * _WORDS:
            words = Counter(dict(words.most_common(_WORDS)))
        seen, characters = seen + 1, characters + len(text)
        if seen % 100_000 == 0:
            tell(f"{seen:,} paragraphs read")
    return words, {"paragraphs": seen, "characters": characters, "words": words.total()}


def _frequent(words: Counter[str]) -> dict[str, int]:
    """The words to learn from, those without rare characters."""
    characters = Counter[str]()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    spare, rare = _RARE * characters.total(), set[str]()
    for character, count in sorted(characters.items(), key=lambda one: (one[1], one[0])):
        spare -= count
        if spare < 0:
            break
        rare.add(character)
    likely = ((word, count) for word, count in words.most_common(_WORDS) if len(word) <= _LONG)
    return {word: count for word, count in likely if rare.isdisjoint(word)}


def _unigram(words: Mapping[str, int], size: int) -> models.Model:
    """Learn pieces with SentencePiece, from counted words; the same ones from the same words.

    It proposes substrings that come twice and of which not all go on in the same way. So that whole words are proposed,
    though no other goes on from them, each is told once with the most frequent word behind it, of which that many fewer
    are told alone.
    """
    share = min(1.0, _SPELT / sum(len(word) * count for word, count in words.items()))
    counts = Counter({word: max(1, round(count * share)) for word, count in sorted(words.items())})
    twice = [word for word, count in counts.items() if count > 1]
    common = max((word for word in counts if word.startswith("▁")), key=counts.__getitem__, default="▁")
    alone = counts - Counter(twice) - Counter({common: len(twice)})
    lines = [*(f"{word}{common}\t1" for word in twice), *(f"{word}\t{count}" for word, count in alone.items())]
    learnt = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), input_format="tsv", model_writer=learnt, minloglevel=2,
        model_type="unigram", vocab_size=size + 1, hard_vocab_limit=False, max_sentencepiece_length=_LONGEST,
        # Texts are made ready and words are cut already.
        normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        split_by_unicode_script=False, split_by_number=False, character_coverage=1.0,
        # It must have the one entry; and how it adds up is decided by the number of threads, not by who is first.
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, num_threads=16,
    )  # fmt: skip
    found = sentencepiece.SentencePieceProcessor(model_proto=learnt.getvalue())
    numbers = list(range(1, len(found)))
    pieces = zip(found.id_to_piece(numbers), found.get_score(numbers), strict=True)
    fixed = [(token, 0.0) for token in (*SPECIAL, *_BYTES)]
    return models.Unigram([*fixed, *pieces], SPECIAL.index("<unk>"), byte_fallback=True)


def _bpe(words: Mapping[str, int], size: int) -> models.Model:
    """Merge pairs, as the library does: it counts words itself, so that each is told to it as often as it comes."""
    learning = Tokenizer(models.BPE())
    learning.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    told = (" ".join([word] * min(10_000, count - done)) for word, count in words.items()
            for done in range(0, count, 10_000))  # fmt: skip
    learning.train_from_iterator(told, BpeTrainer(vocab_size=size, max_token_length=_LONGEST, show_progress=False))
    model = orjson.loads(learning.to_str())["model"]
    found = sorted(model["vocab"], key=model["vocab"].__getitem__)
    numbers = {token: number for number, token in enumerate((*SPECIAL, *_BYTES, *found))}
    return models.BPE(
        numbers, [(left, right) for left, right in model["merges"]], unk_token="<unk>", byte_fallback=True
    )


def tokenizer_of(model: models.Model) -> Tokenizer:
    """The tokenizer around a vocabulary: how texts are made ready and cut, its special tokens, and the way back.

    - NFC, not NFKC: that would make `109` of `10⁹` and `m2` of `m²`. White space is a space, whatever it was.
    - Digits are one token each: a dose is read in the same way whether it is frequent or not, and no pieces are spent
      on years and sample sizes. It costs some more tokens (2.5 % in clinical cases and abstracts).
    - An apostrophe stays with the letters before it: fewer tokens (3.5 %), and an entity still begins with a token.
    """
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Split(Regex(_CUT), "isolated")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False, lstrip=token == "<mask>") for token in SPECIAL]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, SPECIAL.index(token)) for token in ("<s>", "</s>")],
    )
    return tokenizer


def _report(output: Path, fingerprint: str, texts: _Texts, other: Tokenizer | None, name: str | None) -> dict[str, Any]:
    """Measure a finished tokenizer, unless that was done already."""
    decisive = runs.fingerprint(fingerprint, None if other is None else tokens.tokenizer_sha256(other))
    path = output / REPORT
    if (before := _read(path))["fingerprint"] == decisive:
        return before
    own = Tokenizer.from_file(str(output / "tokenizer.json"))
    own.encode_special_tokens = True
    report = {
        "fingerprint": decisive,
        "held_out": "validation split" if texts.split else texts.held_out,
        "against": name,
        **asdict(compare(own, other, texts.measured())),
    }
    runs.write_json(path, report)
    return _read(path)


def _read(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {"fingerprint": None}
    return report


class _Count:
    """Adds up what a tokenizer makes of texts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        model, vocabulary = orjson.loads(tokenizer.to_str())["model"], tokenizer.get_vocab()
        unknown = model.get("unk_id")
        if unknown is None:
            unknown = vocabulary.get(model.get("unk_token"), -1)
        self._tokenizer, self._unknown = tokenizer, unknown
        self._bytes = [vocabulary[byte] for byte in _BYTES if model.get("byte_fallback") and byte in vocabulary]
        self._totals = Counter[str]()

    def add(self, found: Tokens, words: Array, numbers: Array) -> None:
        """Count texts.

        Args:
            found: their words.
            words: which of these are of letters.
            numbers: which are numbers.
        """
        encoded = self._tokenizer.encode_batch(list(found.texts), add_special_tokens=False)
        ids = np.fromiter(chain.from_iterable(one.ids for one in encoded), np.int64)
        spans = np.fromiter(chain.from_iterable(chain.from_iterable(one.offsets for one in encoded)), np.int64)
        spans = spans.reshape(-1, 2) + np.repeat(found.offsets[:-1], [len(one.ids) for one in encoded])[:, None]
        # The space before a word is its own: its mark may be a token by itself.
        starts = found.starts - (found.codes[found.starts - 1] == ord(" "))
        # Tokens that begin before a word ends, without those that have ended when it begins.
        touching = np.searchsorted(spans[:, 0], found.ends) - np.searchsorted(spans[:, 1], starts, "right")
        self._totals.update(
            tokens=len(ids),
            unknown=int((ids == self._unknown).sum()),
            bytes=int(np.isin(ids, self._bytes).sum()),
            words=int(touching[words].sum()),
            whole=int((touching[words] == 1).sum()),
            numbers=int(touching[numbers].sum()),
        )

    def measure(self, words: int, numbers: int, characters: int) -> Measure:
        """What it came to."""
        total, cut = self._totals, max(1, self._totals["tokens"])
        return Measure(
            self._tokenizer.get_vocab_size(), total["tokens"], total["words"] / words, total["whole"] / words,
            total["numbers"] / max(1, numbers), characters / cut, total["unknown"] / cut, total["bytes"] / cut,
        )  # fmt: skip


def _pieces(tokenizer: Tokenizer) -> set[str]:
    """The pieces of a vocabulary, those that begin a word with a space before them, whatever it marks them with.

    Special tokens, single bytes and parts of characters are none. What has neither letter nor digit is the same at the
    beginning of a word and inside.
    """
    told = orjson.loads(tokenizer.to_str())
    bytewise, going_on = tokens.is_bytewise(told), told["model"].get("continuing_subword_prefix")
    added = {one.content for one in tokenizer.get_added_tokens_decoder().values()}
    found = set()
    for token in tokenizer.get_vocab(with_added_tokens=False).keys() - added - set(_BYTES):
        if bytewise:
            text = decoders.ByteLevel().decode([token])
        elif going_on:
            text = token.removeprefix(going_on) if token.startswith(going_on) else f" {token}"
        else:
            text = token.replace("▁", " ")
        found.add(text if any(map(str.isalnum, text)) else text.strip())
    return {text for text in found if text and "\ufffd" not in text}


def _examples(own: Tokenizer, other: Tokenizer, words: Mapping[str, int]) -> tuple[list[Example], list[Example]]:
    """Words that the other tokenizer cuts into most more pieces, and most fewer; the frequent before the rare."""
    spelt = sorted(words, key=lambda word: (-words[word], word))
    both = zip(spelt, _cuts(own, spelt), _cuts(other, spelt), strict=True)
    found = [Example(word, words[word], ours, theirs) for word, ours, theirs in both]
    better = sorted(found, key=lambda one: len(one.own) - len(one.other))[:_EXAMPLES]
    worse = sorted(found, key=lambda one: len(one.other) - len(one.own))[:_EXAMPLES]
    return (
        [one for one in better if len(one.own) < len(one.other)],
        [one for one in worse if len(one.other) < len(one.own)],
    )


def _cuts(tokenizer: Tokenizer, words: Sequence[str]) -> list[list[str]]:
    """The tokens of words that stand alone, as they are written there; a mark that is a token by itself is `▁`."""
    texts = [f" {word}" for word in words]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [
        [text[start:end].strip() or "▁" for start, end in one.offsets] for text, one in zip(texts, encoded, strict=True)
    ]
