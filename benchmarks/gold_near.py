"""Near-duplicates: real texts edited word by word to a known similarity, or in one number, and real copies.

What is to be found is known by sets in plain Python: the Jaccard similarity of the 5-grams, and the words
that hold a digit. The texts go the way of a build, from its parts to its tables. Beside each recall stands
what datatrove's default finds of the same pairs: 14 buckets of 8 hashes, numbers made equal, nothing compared.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.typeshelper import Languages
from figures import Figure

from corpuskit.clean.segment import cuts
from corpuskit.clean.words import words
from corpuskit.dedup import decide
from corpuskit.dedup.near import NearOptions
from corpuskit.dedup.parts import PartWriter
from corpuskit.paragraphs.collate import Collate, Deal
from corpuskit.records import Article, Paragraph
from corpuskit.steps import to_document

SOURCES = ["wikipedia_medical_fr", "anses_vet_spc", "cnedimts"]
OPTIONS = NearOptions()
BANDS = [(0.7, 0.75), (0.75, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 0.95), (0.95, 1.0)]
FROM, RECALL, PRECISION = 0.85, 0.99, 0.99
#: Pairs planted a band, and a kind of number.
PAIRS = {"paragraphs": 200, "articles": 80}
#: Characters of the paragraphs cut from running text.
LENGTHS = [500, 1000, 2000, 4000]
#: Copies tried before a text is given up.
TRIES = 12
#: Doses of which a text is given one, and notices of which every paragraph is compared with every other.
DOSES, NOTICES = 20, 250
#: Of the texts that pairs are made from, at most this share of n-grams may stand in those taken before.
KNOWN = 0.05

_NUMBER = r"deux|trois|quatre|cinq|six|sept|huit|neuf|dix|vingt|trente|cent|mille"
_HELD = re.compile(
    rf"\d|\b(?:{_NUMBER}|onze|douze|quinze|\w*ante|\w*ième|premi\w*|second\w*|demi\w*|tiers|quart)s?\b", re.I
)
NUMBERS = {
    "dose": re.compile(r"(?<![\d.,])\d+(?:[.,]\d+)?(?= ?(?:mg|g|µg|ml|mL|UI)\b)"),
    "age": re.compile(r"(?<![\d.,])\d\d(?= ans\b)"),
    "date": re.compile(r"(?<![\d.,])(?:19|20)\d\d\b"),
    "percentage": re.compile(r"(?<![\d.,])\d+(?:[.,]\d+)?(?= ?%)"),
    "in words": re.compile(rf"\b(?:{_NUMBER})\b"),
}

#: A paragraph or an article: its paragraphs.
Text = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    original: Text
    copy: Text
    jaccard: float


def ngrams(text: Text, n: int = OPTIONS.ngram, least: int = OPTIONS.min_words) -> set[tuple[str, ...]]:
    found = set()
    for paragraph in text:
        tokens = words(paragraph.lower())
        if len(tokens) >= least:
            found.update(zip(*(tokens[at:] for at in range(n)), strict=False))
    return found


def jaccard(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / max(1, len(one | other))


def numbers_agree(one: Text, other: Text) -> bool:
    """Whether the words with a digit of one text are, in order, among those of the other."""
    fewer, more = sorted(
        ([word for word in words(" ".join(text)) if re.search(r"\d", word)] for text in (one, other)), key=len
    )
    rest = iter(more)
    return all(word in rest for word in fewer)


# The texts.


def cases(real_data: Path) -> list[Text]:
    with (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    return [tuple(" ".join(line.split()) for line in text.split("\n") if line.strip()) for text in texts]


def documents(real_data: Path, names: list[str]) -> list[str]:
    found = []
    for name in names:
        with gzip.open(real_data / "text_fr" / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
            found += [" ".join(line.split()) for line in lines]
    return found


def _cut(text: str, length: int) -> Iterator[str]:
    return (text[start:end] for start, end in cuts(text, length))


class Stock:
    """Texts to make pairs from, in a random order, none of which resembles another that was taken."""

    def __init__(self, texts: list[Text], most: int, chance: random.Random) -> None:
        texts = [text for text in dict.fromkeys(texts) if 60 <= sum(len(words(part)) for part in text) <= most]
        self.texts, self.seen = iter(chance.sample(texts, len(texts))), set[int]()

    def __iter__(self) -> Iterator[Text]:
        for text in self.texts:
            own = {hash(ngram) for ngram in ngrams(text)}
            if len(own & self.seen) <= KNOWN * len(own):
                yield text
            self.seen |= own


class Editor:
    """Replaces, leaves out and puts in words, and adds sentences, away from numbers."""

    def __init__(self, texts: list[str], chance: random.Random) -> None:
        self.chance = chance
        self.words = [
            word
            for text in texts[::10]
            for word in text.split()
            if word.isalpha() and word.islower() and len(word) > 3 and not _HELD.search(word)
        ]
        self.sentences = [part for text in texts[::10] for part in _cut(text, 100) if 30 < len(part) < 150]

    def copy(self, text: Text, low: float, high: float) -> Pair | None:
        """A copy of a similarity from ``low`` up to, not including, ``high``; None where none was found."""
        own = ngrams(text)
        for _ in range(TRIES):
            parts = [part.split() for part in text]
            if self.chance.random() < 0.2:
                self._sentence(parts)
            for _ in range(sum(map(len, parts))):
                similarity = jaccard(own, ngrams(copy := tuple(map(" ".join, parts))))
                if low <= similarity < high and copy != text:
                    return Pair(text, copy, similarity)
                if similarity < low:
                    break
                self._edit(parts)
        return None

    def _edit(self, parts: list[list[str]]) -> None:
        tokens = self.chance.choices(parts, [len(part) for part in parts])[0]
        places = [at for at in range(len(tokens)) if self._free(tokens, at)]
        if places:
            at = self.chance.choice(places)
            new = self.chance.choice(
                ([self.chance.choice(self.words)], [], [tokens[at], self.chance.choice(self.words)])
            )
            tokens[at : at + 1] = new

    def _sentence(self, parts: list[list[str]]) -> None:
        tokens = self.chance.choice(parts)
        sentence = self.chance.choice(self.sentences).split()
        if self.chance.random() < 0.5:
            tokens[:0] = sentence
        else:
            tokens += sentence

    @staticmethod
    def _free(tokens: list[str], at: int) -> bool:
        """Whether neither a number nor what may be its unit stands here."""
        return (
            tokens[at].isalpha()
            and not _HELD.search(" ".join(tokens[max(0, at - 4) : at + 2]))
            and not any(token.lower().endswith(("un", "une")) for token in tokens[max(0, at - 2) : at + 1])
        )


def with_another_number(text: Text, kind: re.Pattern[str], chance: random.Random) -> Text | None:
    places = [(part, found.span()) for part, whole in enumerate(text) for found in kind.finditer(whole)]
    if not places:
        return None
    part, (start, end) = chance.choice(places)
    number = text[part][start:end]
    if number.isalpha():
        other = chance.choice([word for word in _NUMBER.split("|") if word != number.lower()])
    else:
        other = number[:-1] + chance.choice([digit for digit in "123456789" if digit != number[-1]])
    return (*text[:part], text[part][:start] + other + text[part][end:], *text[part + 1 :])


# The build, from parts to tables.


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of texts: the number of the text that survives each, its own where it stays."""

    survivor: list[int]

    def together(self, one: int, other: int) -> bool:
        return self.survivor[one] == self.survivor[other]

    def merged(self) -> Iterator[tuple[int, int]]:
        return ((text, survivor) for text, survivor in enumerate(self.survivor) if text != survivor)


def _built(articles: list[Article]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The kept and the dropped paragraphs and articles of a build in two tasks."""
    rules = decide.Rules(["gold"], near=OPTIONS)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        middle = len(articles) // 2
        for rank, first in enumerate((0, middle)):
            documents = [to_document(article) for article in (articles[:middle], articles[middle:])[rank]]
            for key, document in enumerate(documents, first):
                document.metadata["key"] = key
            list(PartWriter(work, OPTIONS).run(iter(documents), rank, 2))
        decide.candidates(work, rules)
        for rank in range(2):
            list(decide.Shingle(work, OPTIONS).run(None, rank, 2))
        shards = decide.decide(work, rules)
        for rank in range(2):
            list(Deal(work).run(None, rank, 2))
        for rank in range(shards):
            list(Collate(work, Path(folder)).run(None, rank, shards))
        tables = {
            name: [row for path in sorted((Path(folder) / name).iterdir()) for row in pq.read_table(path).to_pylist()]
            for name in ("articles", "paragraphs", "dropped")
        }
    dropped = [row for row in tables["dropped"] if row["stage"] in ("near", "duplicate")]
    return tables["articles"] + tables["paragraphs"], dropped


def deduplicated_paragraphs(texts: list[Text], chance: random.Random) -> Outcome:
    """Paragraphs, each in an article with nine others."""
    order = chance.sample(range(len(texts)), len(texts))
    articles = [
        Article(
            f"gold:{start:06d}", "gold", "f", paragraphs=[Paragraph(texts[at][0]) for at in order[start : start + 10]]
        )
        for start in range(0, len(texts), 10)
    ]
    kept, dropped = _built(articles)
    place = {text[0]: at for at, text in enumerate(texts)}
    named = {row["id"]: place[row["text"]] for row in kept if "text" in row}
    under = {place[row["text"]]: named[row["cluster_id"]] for row in dropped if row["unit"] == "paragraph"}
    return Outcome([under.get(at, at) for at in range(len(texts))])


def deduplicated_articles(texts: list[Text]) -> Outcome:
    articles = [
        Article(f"gold:{at:06d}", "gold", "f", paragraphs=[Paragraph(part) for part in text])
        for at, text in enumerate(texts)
    ]
    _, dropped = _built(articles)
    under = {row["id"]: row["cluster_id"] for row in dropped if row["unit"] == "article"}
    named = {article.id: at for at, article in enumerate(articles)}
    return Outcome([named[under.get(article.id, article.id)] for article in articles])


def deduplicated(level: str, texts: list[Text], chance: random.Random) -> Outcome:
    return deduplicated_paragraphs(texts, chance) if level == "paragraphs" else deduplicated_articles(texts)


class Datatrove:
    """Whether two texts meet in a bucket of datatrove's, its words split as they are here."""

    def __init__(self) -> None:
        config = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
        with tempfile.TemporaryDirectory() as folder:
            self.step = MinhashDedupSignature(folder, config, Languages.english)
        # Its own for French is spaCy's, which is not needed for this.
        self.step.word_tokenizer = self

    def word_tokenize(self, text: str) -> list[str]:
        return words(text)

    def meet(self, one: Text, other: Text) -> bool:
        first, second = (self.step.get_signature(self.step.get_shingles("\n".join(text))) for text in (one, other))
        return any(mine == theirs for mine, theirs in zip(first, second, strict=True))


# The figures.


def share(told: list[bool]) -> float:
    return sum(told) / max(1, len(told))


def precision(what: str, texts: list[Text], outcome: Outcome) -> Figure:
    truly = [
        jaccard(ngrams(texts[one]), ngrams(texts[other])) >= OPTIONS.threshold
        and numbers_agree(texts[one], texts[other])
        for one, other in outcome.merged()
    ]
    return Figure(f"{what}, merged that are near-duplicates", share(truly), PRECISION, f"{len(truly):,} merged")


def planted(level: str, stock: Stock, editor: Editor, datatrove: Datatrove) -> Iterator[Figure]:
    """Recall by similarity, and precision."""
    by_band: dict[tuple[float, float], list[Pair]] = defaultdict(list)
    for text in stock:
        wanting = [band for band in BANDS if len(by_band[band]) < PAIRS[level]]
        if not wanting:
            break
        band = editor.chance.choice(wanting)
        if pair := editor.copy(text, *band):
            by_band[band].append(pair)
    pairs = [pair for band in BANDS for pair in by_band[band]]
    texts = [text for pair in pairs for text in (pair.original, pair.copy)]
    outcome = deduplicated(level, texts, editor.chance)
    first = 0
    for low, high in BANDS:
        of_band = by_band[low, high]
        found = [outcome.together(at, at + 1) for at in range(2 * first, 2 * (first + len(of_band)), 2)]
        first += len(of_band)
        theirs = share([datatrove.meet(pair.original, pair.copy) for pair in of_band])
        label, note = f"Jaccard {low:.2f}–{high:.2f}", f"{len(of_band)} pairs"
        if low < OPTIONS.threshold:
            note += f"; datatrove keeps {1 - theirs:.3f}"
            yield Figure(f"{level}, kept apart, {label}", 1 - share(found), 1.0, note)
        else:
            hashes, buckets = OPTIONS.hashes_per_bucket, OPTIONS.buckets
            sure = sum(1 - (1 - pair.jaccard**hashes) ** buckets for pair in of_band) / max(1, len(of_band))
            note += f"; {sure:.4f} expected of the buckets; datatrove finds {theirs:.3f}"
            yield Figure(f"{level}, found, {label}", share(found), RECALL if low >= FROM else None, note)
    yield precision(f"{level}, planted", texts, outcome)


def other_numbers(level: str, stock: Stock, chance: random.Random, datatrove: Datatrove) -> Iterator[Figure]:
    """Pairs that differ in one number: both have to stay."""
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for text in stock:
        kinds = [kind for kind in NUMBERS if len(by_kind[kind]) < PAIRS[level]]
        for kind in chance.sample(kinds, len(kinds)):
            copy = with_another_number(text, NUMBERS[kind], chance)
            if copy and (similarity := jaccard(ngrams(text), ngrams(copy))) >= FROM:
                by_kind[kind].append(Pair(text, copy, similarity))
                break
    pairs = [(kind, pair) for kind in NUMBERS for pair in by_kind[kind]]
    texts = [text for _, pair in pairs for text in (pair.original, pair.copy)]
    outcome = deduplicated(level, texts, chance)
    gone = {text for text, _ in outcome.merged()}
    for kind in NUMBERS:
        stays = [not {2 * at, 2 * at + 1} & gone for at, (own, _) in enumerate(pairs) if own == kind]
        theirs = share([not datatrove.meet(pair.original, pair.copy) for pair in by_kind[kind]])
        note = f"{len(stays)} pairs; datatrove keeps {theirs:.3f}"
        yield Figure(
            f"{level}, another {kind}: both stay".replace("another in", "a number in"), share(stays), 1.0, note
        )


def templates(stock: Stock, editor: Editor) -> Iterator[Figure]:
    """Texts that differ by a dose only, each with an edited copy: the worst case for buckets that all share."""
    texts: list[Text] = []
    for text in stock:
        if len(texts) >= 10 * 2 * DOSES:
            break
        if dose := NUMBERS["dose"].search(text[0]):
            variants = [(text[0][: dose.start()] + str(1000 + at) + text[0][dose.end() :],) for at in range(DOSES)]
            pairs = [pair for variant in variants if (pair := editor.copy(variant, FROM, 0.99))]
            texts += [text for pair in pairs for text in (pair.original, pair.copy)]
    outcome = deduplicated("paragraphs", texts, editor.chance)
    found = [outcome.together(at, at + 1) for at in range(0, len(texts), 2)]
    note = f"{len(found)} pairs, {DOSES} doses a text"
    yield Figure(f"paragraphs, found among {DOSES} other doses", share(found), None, note)
    yield precision(f"paragraphs, {DOSES} doses", texts, outcome)


def real_notices(texts: list[Text], chance: random.Random) -> Iterator[Figure]:
    """Paragraphs of drug notices as they stand, every one against every other."""
    sets = [{hash(ngram) for ngram in ngrams(text)} for text in texts]
    by_size = sorted(range(len(texts)), key=lambda at: len(sets[at]))
    near = []
    for place, one in enumerate(by_size):
        for other in by_size[place + 1 :]:
            # Sets of more different sizes cannot be alike.
            if len(sets[one]) < OPTIONS.threshold * len(sets[other]):
                break
            if jaccard(sets[one], sets[other]) >= OPTIONS.threshold and numbers_agree(texts[one], texts[other]):
                near.append((one, other))
    outcome = deduplicated("paragraphs", texts, chance)
    gone = {text for text, _ in outcome.merged()}
    told = [bool(gone & set(pair)) for pair in near]
    note = f"{len(texts):,} paragraphs, {len(near)} pairs of Jaccard 0.8 or more whose numbers agree"
    yield Figure("ANSES, near-duplicates of which one goes", share(told), 0.98, note)
    yield precision("ANSES", texts, outcome)


def real_copies(texts: list[Text]) -> Iterator[Figure]:
    """Clinical cases as they stand: those that copy each other."""
    holders = defaultdict(list)
    for at, text in enumerate(texts):
        for ngram in ngrams((" ".join(text),), 13, 13):
            holders[ngram].append(at)
    shared = Counter(pair for those in holders.values() for pair in combinations(those, 2))
    copies = [pair for pair, count in shared.items() if count > 20]
    sets = [ngrams(text) for text in texts]
    outcome = deduplicated_articles(texts)
    alike = [(one, other) for one, other in copies if jaccard(sets[one], sets[other]) >= OPTIONS.threshold]
    near = [(one, other) for one, other in alike if numbers_agree(texts[one], texts[other])]
    equal = sum(texts[one] == texts[other] for one, other in copies)
    note = f"{len(copies)} pairs, {equal} equal; Jaccard of 0.8 or more: {len(alike)}, and equal numbers: {len(near)}"
    found = share([outcome.together(*pair) for pair in copies])
    yield Figure("PAMJ, over 20 13-grams shared, found", found, None, note)
    found = share([outcome.together(*pair) for pair in near])
    yield Figure("PAMJ, near-duplicates found", found, RECALL, f"{len(near)} of the pairs above")
    yield precision("PAMJ", texts, outcome)


def measure(real_data: Path) -> list[Figure]:
    """All figures; takes about a minute."""
    chance = random.Random(7)
    of_cases, running = cases(real_data), documents(real_data, SOURCES)
    editor, datatrove = Editor(running, chance), Datatrove()
    joined = [*running, *(" ".join(text) for text in of_cases)]
    paragraphs = [(part,) for text in joined for part in _cut(text, chance.choice(LENGTHS))]
    articles = of_cases + [tuple(_cut(text, 800)) for text in running]
    found = []
    for level, texts, most in (("paragraphs", paragraphs, 1000), ("articles", articles, 1500)):
        found += planted(level, Stock(texts, most, chance), editor, datatrove)
        found += other_numbers(level, Stock(texts, most, chance), chance, datatrove)
    found += templates(Stock(paragraphs, 1000, chance), editor)
    notices = [part for text in chance.sample(documents(real_data, ["anses_vet_spc"]), NOTICES)
               for part in _cut(text, 300) if len(words(part)) >= OPTIONS.min_words]  # fmt: skip
    found += real_notices([(part,) for part in dict.fromkeys(notices)], chance)
    return [*found, *real_copies(of_cases)]
