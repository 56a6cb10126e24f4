"""Data sets as tokens: what a document is and what is held out, words, weights, and what is found again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.pretrain import tokens as module
from corpuskit.pretrain.config import PretrainError, Source
from corpuskit.pretrain.tokens import Part, Tokens, called, is_held_out, tokenize

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers  # noqa: E402

Row = dict[str, Any]
Make = Callable[[Tokenizer], Path]

# By the hash of their ids: one article that is held out at 50 per cent, and two that train.
ASIDE, FIRST, SECOND = "a:2", "a:0", "a:3"
LETTERS = "abcdefghijklmnopqrstuvwxyzéœ"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a folder that Transformers opens."""

    def save(tokenizer: Tokenizer) -> Path:
        folder = tmp_path_factory.mktemp("tokenizer")
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
        return folder

    return save


def bytewise(merges: Sequence[tuple[str, str]] = ()) -> Tokenizer:
    """Bytes, and those that are merged."""
    vocabulary = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(vocabulary)}, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


@pytest.fixture(scope="session")
def plain(saved: Make) -> Path:
    return saved(bytewise())


def write(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=3)
    return path


def row(article: str | None, text: str | None, **more: Any) -> Row:
    return {"id": f"{article}#{text}", "article_id": article, "text": text} | more


def texts(part: Part) -> list[str]:
    """The documents of a part whose tokens are bytes."""
    tokenizer = bytewise()
    ends = zip(part.documents[:-1].tolist(), part.documents[1:].tolist(), strict=True)
    tokenizer.decoder = decoders.ByteLevel()
    return [tokenizer.decode(part.ids[first:end].tolist()) for first, end in ends]


def words(tokenizer: Tokenizer, text: str, folder: Path, saved: Make) -> list[str]:
    """The tokens of a text, those of a word joined by `+`."""
    file = write(folder / "rows.parquet", [row(FIRST, text), row(ASIDE, "a")])
    found = tokenize(Source(path=str(file)), saved(tokenizer), "article", 50, folder / "store").train
    said = ""
    for number, start in zip(found.ids.tolist(), found.starts.tolist(), strict=True):
        said += (" " if start else "+") + tokenizer.id_to_token(number)
    return said.split(" ")[1:]


def test_words_of_metaspace(tmp_path: Path, saved: Make) -> None:
    pieces = [("<unk>", 0.0), *((letter, -9.0) for letter in "▁'().,«»-" + LETTERS)]
    pieces += [(piece, -1.0) for piece in ("▁le", "▁l'", "▁pati", "ent", "œdème", "▁(", "▁vis")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.Replace("\n", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    text = "le patient (vis-à-vis) «l'œdème»\nle l'œdème."
    assert words(tokenizer, text, tmp_path, saved) == [
        "▁le", "▁pati+ent", "▁(", "v+i+s", "-", "<unk>", "-", "v+i+s", ")", "▁+«", "l", "'", "œdème", "»", "▁le", "▁l'",
        "œdème", ".",
    ]  # fmt: skip


def test_words_of_bytes(tmp_path: Path, saved: Make) -> None:
    tokenizer = bytewise([("e", "n"), ("en", "t"), ("Ġ", "("), ("Ġ", "p")])
    text = "été (l'ent) pent  b12 : à…\nent"
    assert words(tokenizer, text, tmp_path, saved) == [
        "Ã+©+t+Ã+©", "Ġ(", "l", "'", "ent", ")", "Ġp+ent", "Ġ", "Ġ+b+1+2", "Ġ+:", "Ġ+Ã+ł+â+Ģ+¦", "Ċ", "ent",
    ]  # fmt: skip


def test_words_of_wordpiece(tmp_path: Path, saved: Make) -> None:
    vocabulary = ["[UNK]", "le", "pati", "##ent", "(", ")", "l", "'", "œd", "##ème", "b", "##1", "##2", ".", "##."]
    tokenizer = Tokenizer(models.WordPiece({token: place for place, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    text = "le patient (l'œdème) zut b12."
    assert words(tokenizer, text, tmp_path, saved) == [
        "le", "pati+##ent", "(", "l", "'", "œd+##ème", ")", "[UNK]", "b+##1+##2", ".",
    ]  # fmt: skip
    # Even where the tokenizer does not cut punctuation off.
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert words(tokenizer, "le patient.", tmp_path, saved) == ["le", "pati+##ent", "##."]


def test_words_of_vocabularies_that_mark_their_end_or_nothing(tmp_path: Path, saved: Make) -> None:
    letters = {letter: place for place, letter in enumerate(["a", "b", "a</w>", "b</w>", "."])}
    ending = Tokenizer(models.BPE(letters, [], end_of_word_suffix="</w>"))
    ending.pre_tokenizer = pre_tokenizers.Whitespace()
    assert words(ending, "aba ab", tmp_path, saved) == ["a+b+a</w>", "a+b</w>"]
    bare = Tokenizer(models.BPE(letters, []))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    assert words(bare, "aba ab.a", tmp_path, saved) == ["a+b+a", "a+b", ".", "a"]
    whole = Tokenizer(models.WordLevel(letters, unk_token="."))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    assert words(whole, "a b a", tmp_path, saved) == ["a", "b", "a"]


def test_words_of_a_vocabulary_with_single_bytes(tmp_path: Path, saved: Make) -> None:
    vocabulary = ["<unk>", "▁", "a", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(
        models.BPE({token: place for place, token in enumerate(vocabulary)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert words(tokenizer, "aé, a", tmp_path, saved) == ["▁+a+<0xC3>+<0xA9>", "<0x2C>", "▁+a"]


@given(st.text("ab1 .,-\n", min_size=1, max_size=40))
@settings(max_examples=200)
def test_words_are_what_white_space_and_punctuation_delimit(text: str) -> None:
    tokenizer = bytewise()
    encoded = tokenizer.encode(text)
    found = module._Words(tokenizer).starts([encoded], np.array(encoded.ids), np.zeros(1, np.int64))
    expected = [one.start() for one in re.finditer(r" ?[ab1]+| ?[.,-]|\s", text)]
    assert np.flatnonzero(found).tolist() == expected


ARTICLES = [
    row(FIRST, "un"), row(FIRST, "deux"), row(ASIDE, "trois"), row(SECOND, "quatre"), row(None, "neuf"),
    row(None, "six"), row(FIRST, "sept"),
]  # fmt: skip


def test_a_document_is_a_run_of_an_article_or_a_paragraph(tmp_path: Path, plain: Path) -> None:
    source = Source(path=str(write(tmp_path / "all.parquet", ARTICLES)))
    found = tokenize(source, plain, "article", 50, tmp_path / "store")
    # A row without an article is one by itself, and its id says on which side it is.
    assert [is_held_out(name, 50) for name in ("None#neuf", "None#six")] == [False, True]
    assert texts(found.train) == ["un\ndeux", "quatre", "neuf", "sept"]
    assert texts(found.validation) == ["trois", "six"]
    assert (found.documents, found.held_out_documents, found.tokens, found.held_out_tokens) == (4, 2, 21, 8)
    assert (found.name, found.told["ids"], found.told["withheld"]) == ("all", "uint16", 0)
    assert found.train.weights is None
    paragraphs = tokenize(source, plain, "paragraph", 50, tmp_path / "store")
    assert texts(paragraphs.train) == ["un", "deux", "quatre", "neuf", "sept"]


def test_a_run_goes_on_in_the_next_file_and_another_copy_is_another_document(tmp_path: Path, plain: Path) -> None:
    corpus = tmp_path / "corpus"
    rows = [row(FIRST, "un", copy=0), row(FIRST, "deux", copy=0), row(FIRST, "trois", copy=1)]
    write(corpus / "paragraphs" / "00000.parquet", rows[:1])
    write(corpus / "paragraphs" / "00001.parquet", [*rows[1:], row(ASIDE, "a", copy=0), row(ASIDE, "a", copy=1)])
    found = tokenize(Source(path=str(corpus)), plain, "article", 50, tmp_path / "store")
    assert texts(found.train) == ["un\ndeux", "trois"]
    # The loss is measured on each text once.
    assert texts(found.validation) == ["a"]
    assert found.name == "corpus"


def test_a_prefix_goes_before_the_text_and_withheld_texts_are_counted(tmp_path: Path, plain: Path) -> None:
    rows = [
        row(FIRST, "un", prefix="Titre : A\n"), row(FIRST, None, prefix=None), row(FIRST, "deux", prefix=None),
        row(SECOND, None, prefix="Titre : B\n"), row(SECOND, "", prefix=None), row(ASIDE, "a", prefix=None),
    ]  # fmt: skip
    found = tokenize(Source(path=str(write(tmp_path / "p.parquet", rows))), plain, "article", 50, tmp_path / "store")
    assert texts(found.train) == ["Titre : A\nun\ndeux"]
    assert found.told["withheld"] == 2


def test_an_article_is_held_out_of_every_data_set(tmp_path: Path, plain: Path) -> None:
    names = [f"hal:{number}" for number in range(300)]
    one = write(tmp_path / "one.parquet", [row(name, name) for name in names])
    other = write(tmp_path / "other.parquet", [row(name, name) for name in reversed(names[::2])])
    held = [
        set(texts(tokenize(Source(path=str(file)), plain, "article", 10, tmp_path / "store").validation))
        for file in (one, other)
    ]
    assert 15 <= len(held[0]) <= 45
    assert held[1] == held[0] & set(names[::2])
    # Of published splits the same hash: these do not move with a version.
    assert sorted(held[0])[:3] == ["hal:116", "hal:128", "hal:139"]


def test_a_data_set_with_splits_keeps_them(tmp_path: Path, plain: Path) -> None:
    for split, texts_of in (("train", "ab"), ("validation", "cd"), ("test", "ef")):
        write(tmp_path / "published/data/paragraphs" / f"{split}-00000.parquet", [row(one, one) for one in texts_of])
    for path in ("published", "published/data/paragraphs"):
        found = tokenize(Source(path=str(tmp_path / path)), plain, "paragraph", 50, tmp_path / "store")
        assert texts(found.train) == ["a", "b"]
        assert texts(found.validation) == ["c", "d"]
        assert found.told["held_out"] == "validation split"
    write(tmp_path / "published/data/articles/train-00000.parquet", [row("a", "Titre")])
    assert tokenize(Source(path=str(tmp_path / "published")), plain, "paragraph", 50, tmp_path / "store").documents == 2
    write(tmp_path / "published/data/educational/train-00000.parquet", [row("a", "a")])
    with pytest.raises(PretrainError, match=r"several data sets: give one of .*/educational, .*/paragraphs$"):
        tokenize(Source(path=str(tmp_path / "published")), plain, "paragraph", 50, tmp_path / "store")


def test_without_a_validation_split_articles_are_held_out_of_train(tmp_path: Path, plain: Path) -> None:
    write(tmp_path / "set/train-00000.parquet", ARTICLES)
    write(tmp_path / "set/test-00000.parquet", [row("e", "never")])
    found = tokenize(Source(path=str(tmp_path / "set")), plain, "article", 50, tmp_path / "store")
    assert texts(found.train) == ["un\ndeux", "quatre", "neuf", "sept"]
    assert texts(found.validation) == ["trois", "six"]
    with pytest.raises(PretrainError, match=r"there is no train-\*\.parquet"):
        tokenize(Source(path=str(tmp_path / "set/test-00000.parquet")), plain, "article", 50, tmp_path / "store")


def test_weights_are_the_mean_of_an_article_and_1_on_average(tmp_path: Path, plain: Path) -> None:
    rows = [
        row(FIRST, "un", w=1.0), row(FIRST, "deux", w=2.0), row(ASIDE, "a", w=9.0), row(SECOND, "trois", w=4.5),
        row(SECOND, None, w=None),
    ]  # fmt: skip
    source = Source(path=str(write(tmp_path / "w.parquet", rows)), weights="w")
    found = tokenize(source, plain, "article", 50, tmp_path / "store")
    assert found.train.weights is not None
    assert found.train.weights.tolist() == [0.5, 1.5]
    assert found.validation.weights is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, None], r"w\.parquet: row 1 \(from 0\) has w None: a weight is a number from 0 on"),
        ([1.0, -1.0], r"row 1 \(from 0\) has w -1\.0"),
        ([1.0, float("nan")], r"row 1 \(from 0\) has w nan"),
        ([0.0, 0.0], r"w\.parquet: all weights are 0, and nothing would come"),
        (["a", "b"], r"w\.parquet: the column 'w' of weights holds string, no numbers"),
    ],
)
def test_weights_that_are_none_are_named(tmp_path: Path, plain: Path, weights: list[Any], message: str) -> None:
    rows = [row(FIRST, "un", w=weights[0]), row(SECOND, "deux", w=weights[1])]
    source = Source(path=str(write(tmp_path / "w.parquet", rows)), weights="w")
    with pytest.raises(PretrainError, match=message):
        tokenize(source, plain, "article", 50, tmp_path / "store")
    with pytest.raises(PretrainError, match="no column 'v' of weights; there are id, article_id, text, w"):
        tokenize(Source(path=source.path, weights="v"), plain, "article", 50, tmp_path / "store")


def test_what_was_made_is_found_again_and_made_anew_when_damaged(tmp_path: Path, plain: Path, saved: Make) -> None:
    source = Source(path=str(write(tmp_path / "all.parquet", ARTICLES)))

    def folder(given: Source = source, tokenizer: Path = plain, held_out: float = 50) -> Path:
        return tokenize(given, tokenizer, "article", held_out, tmp_path / "store").folder

    first = folder()
    file = first / "train" / "ids.bin"
    before = file.stat()
    # The name of a data set and the folder of a tokenizer decide nothing.
    assert folder(Source(path=source.path, name="other"), saved(bytewise())) == first
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert orjson.loads((first / "tokens.json").read_bytes())["fingerprint"].startswith(first.name)
    assert folder(held_out=49) != first
    assert folder(tokenizer=saved(bytewise([("e", "n")]))) != first

    content = file.read_bytes()
    for name in ("train/ids.bin", "validation/starts.bin", "train/documents.npy", "tokens.json"):
        (first / name).write_bytes((first / name).read_bytes()[:-2])
        with pytest.raises(PretrainError, match=r"its tokens are damaged .*: remove the folder"):
            Tokens.open(first)
        assert folder() == first
        assert file.read_bytes() == content
    write(tmp_path / "all.parquet", [*ARTICLES, row(SECOND, "huit")])
    assert folder() != first


def test_what_was_left_by_a_run_that_was_killed_is_in_nobody_s_way(tmp_path: Path, plain: Path) -> None:
    source = Source(path=str(write(tmp_path / "all.parquet", ARTICLES)))
    folder = tokenize(source, plain, "article", 50, tmp_path / "store").folder
    folder.rename(folder.with_suffix(".partial"))
    assert tokenize(source, plain, "article", 50, tmp_path / "store").documents == 4
    assert not folder.with_suffix(".partial").exists()


def test_another_run_is_waited_for(tmp_path: Path, plain: Path) -> None:
    source = Source(path=str(write(tmp_path / "all.parquet", ARTICLES)))
    folder = tokenize(source, plain, "article", 50, tmp_path / "store").folder
    (folder / "tokens.json").unlink()
    taken = module.runs.locked(folder.with_suffix(".lock"), lambda: "")
    with taken, pytest.raises(PretrainError, match=r"another run is making .*: wait for it, or stop it"):
        tokenize(source, plain, "article", 50, tmp_path / "store")


def test_nothing_to_train_on_or_to_measure_is_said(tmp_path: Path, plain: Path) -> None:
    def refused(message: str, rows: Sequence[Row], held_out: float = 50) -> None:
        source = Source(path=str(write(tmp_path / "few.parquet", rows)))
        with pytest.raises(PretrainError, match=message):
            tokenize(source, plain, "article", held_out, tmp_path / "store")

    schema = pa.schema([("id", pa.string()), ("article_id", pa.string()), ("text", pa.string())])
    pq.write_table(schema.empty_table(), tmp_path / "empty.parquet")
    with pytest.raises(PretrainError, match="there is no text to train on; give another data set"):
        tokenize(Source(path=str(tmp_path / "empty.parquet")), plain, "article", 50, tmp_path / "store")
    refused("there is no text to train on \\(2 rows are without one: put the texts back with `corpuskit refill`", [
        row(FIRST, None), row(ASIDE, None) | {"text": None}, row(FIRST, "")
    ])  # fmt: skip
    refused(
        "none of 1 documents is held out, at 1 %, to measure the loss on: raise `data.held_out`", [row(FIRST, "a")], 1
    )
    refused("all 1 documents are held out, at 50 %: lower `data.held_out`", [row(ASIDE, "a")])
    with pytest.raises(PretrainError, match="no Parquet files"):
        tokenize(Source(path=str(tmp_path / "nowhere")), plain, "article", 50, tmp_path / "store")
    write(tmp_path / "without.parquet", [{"id": "a"}])
    with pytest.raises(PretrainError, match="no column 'text'"):
        tokenize(Source(path=str(tmp_path / "without.parquet")), plain, "article", 50, tmp_path / "store")
    write(tmp_path / "few.parquet", [row(FIRST, "a"), row(ASIDE, "a")])
    with pytest.raises(PretrainError, match=r"tokenizer .*nothing cannot be read: .* a folder with tokenizer\.json"):
        tokenize(Source(path=str(tmp_path / "few.parquet")), tmp_path / "nothing", "article", 50, tmp_path / "store")


def test_what_looks_like_a_special_token_is_text(tmp_path: Path, plain: Path) -> None:
    file = write(tmp_path / "s.parquet", [row(FIRST, "a</s>b"), row(ASIDE, "a")])
    found = tokenize(Source(path=str(file)), plain, "article", 50, tmp_path / "store")
    assert found.tokens == 6
    assert found.train.ids.max() < 256


def test_a_large_vocabulary_needs_more_bytes(tmp_path: Path, saved: Make) -> None:
    tokenizer = Tokenizer(models.WordLevel({f"m{number}": number for number in range(70_000)}, unk_token="m0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    file = write(tmp_path / "l.parquet", [row(FIRST, "m69999 m3"), row(ASIDE, "m1")])
    found = tokenize(Source(path=str(file)), saved(tokenizer), "article", 50, tmp_path / "store")
    assert (found.told["ids"], found.train.ids.tolist()) == ("uint32", [69_999, 3])


some_text = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["a:0", "a:2", "a:3", None]), some_text), max_size=30),
    many=st.integers(1, 20),
)
def test_every_text_is_there_once_however_many_are_read_at_a_time(
    rows: list[tuple[str | None, str | None]], many: int, plain: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("law")
    given_rows = [row(article, text) for article, text in rows] + [row(FIRST, "z"), row(ASIDE, "z")]
    source = Source(path=str(write(folder / "rows.parquet", given_rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHARACTERS", many)
        found = tokenize(source, plain, "paragraph", 50, folder / "store")
    expected = [one["text"] for one in given_rows if one["text"]]
    assert sorted(texts(found.train) + texts(found.validation)) == sorted(expected)
    assert found.told["withheld"] == sum(one["text"] is None for one in given_rows)


def test_a_line_is_told_now_and_then(tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", -1)
    lines: list[str] = []
    source = Source(path=str(write(tmp_path / "all.parquet", ARTICLES)))
    tokenize(source, plain, "article", 50, tmp_path / "store", tell=lines.append)
    assert lines == ["all: 6 documents, 29 tokens"]


def test_a_data_set_has_a_name() -> None:
    assert [called(path) for path in ("a/b", "a/b/", "a/b.parquet", "a/b/*.parquet", "a/b-*/x-[0-9].parquet")] == [
        "b", "b", "b", "b", "a",
    ]  # fmt: skip
