"""Tokenizers: trained on small corpora, opened by Transformers, and measured against what a person counts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, CamembertConfig, CanineTokenizer
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.pretrain import tokenizer as module
from corpuskit.pretrain.config import PretrainError
from corpuskit.pretrain.tokenizer import Example, compare, tokenizer_of, train
from corpuskit.pretrain.tokens import fast_tokenizer, is_held_out

TEXTS = [
    "La cholécystectomie a été réalisée sous cœlioscopie chez cette patiente de 54 ans.",
    "L’hémogramme montrait 12,5 g/dL d'hémoglobine et 250 × 10⁹/L plaquettes.",
    "Le patient, traité pour une hépatite, a reçu 1,5 mg/m² d'adriamycine.",
    "L'évolution était favorable : la cholécystectomie n'a pas été reprise.",
]
HARD = [
    *TEXTS,
    "hémoglobine à 10⁹/L, 1,73 m², ½ dose ; 37 °C",
    "« très » net — œdème d’emblée, aujourd'hui…",
    "日本 😀 μg µg ﬁn",
    "deux  espaces",
    "</s> et <mask> sont du texte, <0x41> aussi",
    "",
]


def corpus(folder: Path, articles: int = 200, shards: int = 1) -> Path:
    """Articles of two paragraphs, in files of a build."""
    rows = [
        {"id": f"hal:{number:03d}#{place}", "article_id": f"hal:{number:03d}", "text": TEXTS[(number + place) % 4]}
        for number in range(articles) for place in range(2)
    ]  # fmt: skip
    (folder / "paragraphs").mkdir(parents=True)
    size = -(-len(rows) // shards)
    for shard in range(shards):
        some = rows[shard * size : (shard + 1) * size]
        pq.write_table(pa.Table.from_pylist(some), folder / "paragraphs" / f"{shard:05d}.parquet")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("small") / "corpus")


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def trained(request: pytest.FixtureRequest, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained") / request.param
    vocabulary = {"unigram": 380, "bpe": 400}[request.param]
    return train(small, output, vocabulary=vocabulary, model_type=request.param, held_out=5).output


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tokenizer", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_it_opens_with_the_roles_that_models_expect(trained: Path) -> None:
    found = AutoTokenizer.from_pretrained(trained)
    assert found.is_fast
    assert found.model_max_length == 512
    assert found.convert_ids_to_tokens(range(5)) == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    roles = [found.bos_token_id, found.cls_token_id, found.pad_token_id, found.eos_token_id, found.sep_token_id,
             found.unk_token_id, found.mask_token_id]  # fmt: skip
    assert roles == [0, 0, 1, 2, 2, 3, 4]
    assert found.convert_ids_to_tokens(found("la", "patiente")["input_ids"]) == [
        "<s>", "▁la", "</s>", "</s>", "▁patiente", "</s>",
    ]  # fmt: skip


def test_a_mask_takes_the_space_before_it_and_the_word_after_keeps_its_own(trained: Path) -> None:
    found = AutoTokenizer.from_pretrained(trained)
    plain, masked = (found.tokenize(text) for text in ("a réalisée", "a <mask> réalisée"))
    assert masked == [plain[0], " <mask>", *plain[1:]]


def test_beside_a_model_of_another_family_it_is_still_itself(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "model")
    CamembertConfig(hidden_size=32).save_pretrained(folder)
    one, other = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(trained)
    assert [one(text)["input_ids"] for text in HARD] == [other(text)["input_ids"] for text in HARD]


@pytest.mark.parametrize("text", HARD)
def test_what_is_encoded_is_decoded(trained: Path, text: str) -> None:
    found = fast_tokenizer(trained)
    encoded = found.encode(text)
    assert found.decode(encoded.ids) == text
    assert "<unk>" not in encoded.tokens


@given(st.text())
def test_any_text_comes_back_in_nfc_with_plain_spaces(text: str) -> None:
    found = tokenizer_of(module._unigram({"▁l'": 3, "a": 2}, 10))
    found.encode_special_tokens = True
    expected = regex.sub(r"[\s▁]", " ", unicodedata.normalize("NFC", text)).lstrip(" ")
    assert found.decode(found.encode(text).ids).lstrip(" ") == expected


# What Unicode has yet to assign is a letter to one library and none to the other.
assigned = st.characters(exclude_categories=("Cn", "Cs"))


@given(st.text(assigned, min_size=1) | st.text("ab é1²,'’ ▁(-)\n\u0301", min_size=1))
def test_it_learns_from_the_words_that_it_cuts(text: str) -> None:
    found = tokenizer_of(models.Unigram())
    counted, _ = module._counted([text], lambda line: None)
    words = found.pre_tokenizer.pre_tokenize_str(found.normalizer.normalize_str(text))
    assert counted == Counter(word for word, _ in words)


def test_words_are_cut_at_marks_digits_and_apostrophes() -> None:
    found = tokenizer_of(models.Unigram()).pre_tokenizer
    words = [word for word, _ in found.pre_tokenize_str("L'œdème (10⁹/L) d’anti-TNFα, 12,5 mg/m² !")]
    assert words == [
        "▁L'", "œdème", "▁(", "1", "0", "⁹", "/", "L", ")", "▁d’", "anti", "-", "TNFα", ",", "▁1", "2", ",", "5",
        "▁mg", "/", "m", "²", "▁!",
    ]  # fmt: skip


def test_a_frequent_long_word_is_one_token(trained: Path) -> None:
    assert fast_tokenizer(trained).encode("La cholécystectomie", add_special_tokens=False).tokens == [
        "▁La", "▁cholécystectomie",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_same_texts_give_the_same_bytes(kind: Any, small: Path, tmp_path: Path) -> None:
    sources = [small, small, corpus(tmp_path / "corpus", shards=3)]
    folders = [train(source, tmp_path / str(number), vocabulary=350, model_type=kind, held_out=5).output
               for number, source in enumerate(sources)]  # fmt: skip
    for name in ("tokenizer.json", "tokenizer_config.json"):
        one, *others = [(folder / name).read_bytes() for folder in folders]
        assert others == [one, one]
    reports = [json.loads((folder / "report.json").read_bytes())["own"] for folder in folders]
    assert reports[0] == reports[1] == reports[2]


def learnt(words: dict[str, int], size: int) -> set[str]:
    """Pieces, without special tokens and bytes."""
    found = tokenizer_of(module._unigram(words, size)).get_vocab()
    return {piece for piece, number in found.items() if number >= 5 + 256}


WORDS = {"▁cette": 40, "▁chez": 30, "▁patient": 20, "▁patients": 10, "▁patiente": 5, "▁cas": 3, "▁hépatite": 7}


def test_a_frequent_word_is_a_piece_though_no_other_goes_on_from_it() -> None:
    pieces = learnt(WORDS, 20)
    assert {"▁cette", "▁chez", "▁patient"} <= pieces
    assert set("▁cethzpainsé") <= pieces
    assert len(pieces) <= 20


def test_more_text_than_is_held_gives_the_same_words(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_SPELT", 500)
    assert {"▁cette", "▁chez", "▁patient"} <= learnt({word: 1000 * count for word, count in WORDS.items()}, 20)


def test_pieces_have_a_longest_length() -> None:
    assert max(map(len, learnt({"▁abcdefghijklmnopqrstuvwxyz": 100, "▁a": 3}, 80))) == 24


def test_the_order_of_the_words_does_not_matter() -> None:
    one, other = (tokenizer_of(module._unigram(dict(words), 25)) for words in (WORDS.items(), reversed(WORDS.items())))
    assert one.to_str() == other.to_str()


def test_another_process_learns_the_same() -> None:
    script = f"""
from corpuskit.pretrain.tokenizer import _unigram, tokenizer_of
print(tokenizer_of(_unigram({WORDS!r}, 25)).to_str())
"""
    found = [
        subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, check=True,
                       capture_output=True, text=True).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert found == [tokenizer_of(module._unigram(WORDS, 25)).to_str() + "\n"] * 2


@settings(max_examples=50)
@given(st.lists(st.text(), min_size=1))
def test_any_text_is_learnt_from(texts: list[str]) -> None:
    words = module._frequent(module._counted([*texts, "▁a a"], lambda line: None)[0])
    assert all(any(piece in word for word in words) for piece in learnt(words, 1000))


def test_done_again_there_is_nothing_to_do(small: Path, tmp_path: Path) -> None:
    first = train(small, tmp_path / "out", vocabulary=330, held_out=5)
    again = train(small, tmp_path / "out", vocabulary=330, held_out=5)
    assert (first.worked, again.worked) == (True, False)
    assert (again.report, again.manifest) == (first.report, first.manifest)
    with pytest.raises(PretrainError, match="holds another run"):
        train(small, tmp_path / "out", vocabulary=340, held_out=5)
    other = train(small, tmp_path / "out", vocabulary=340, held_out=5, overwrite=True)
    assert (other.manifest["vocabulary"]["entries"], other.report["own"]["vocabulary"]) == (340, 340)


def test_another_comparison_does_not_train_again(small: Path, trained: Path, tmp_path: Path) -> None:
    alone = train(small, tmp_path / "out", vocabulary=350, held_out=5)
    beside = train(small, tmp_path / "out", vocabulary=350, held_out=5, against=trained)
    assert not beside.worked
    assert alone.report["other"] is None
    assert beside.report["other"]["vocabulary"] == len(fast_tokenizer(trained).get_vocab())
    assert beside.report["own"] == alone.report["own"]
    assert json.loads((tmp_path / "out" / "report.json").read_bytes()) == beside.report


def test_articles_held_out_are_measured_and_not_learnt_from(tmp_path: Path) -> None:
    names = [f"hal:{number:03d}" for number in range(300)]
    aside = [name for name in names if is_held_out(name, 5)]
    rows = [{"id": f"{name}#0", "article_id": name, "text": "kwak " * 9 if name in aside else TEXTS[0]}
            for name in names]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    done = train(tmp_path / "rows.parquet", tmp_path / "out", vocabulary=330, held_out=5)
    assert done.report["texts"] == len(aside) > 0
    assert done.report["held_out"] == 5
    assert done.manifest["read"]["paragraphs"] == 300 - len(aside)
    assert not any("w" in piece for piece in fast_tokenizer(tmp_path / "out").get_vocab())
    assert done.report["own"]["whole_words"] == 0


def test_of_a_published_data_set_the_validation_split_is_held_out(tmp_path: Path) -> None:
    table = tmp_path / "published" / "data" / "paragraphs"
    table.mkdir(parents=True)
    for split, text in (("train", TEXTS[0]), ("validation", TEXTS[1]), ("test", "kwak " * 9)):
        rows = [{"id": f"{split}#{number}", "article_id": split, "text": text} for number in range(20)]
        rows.append({"id": "withheld", "article_id": split, "text": None})
        pq.write_table(pa.Table.from_pylist(rows), table / f"{split}-00000.parquet")
    done = train(tmp_path / "published", tmp_path / "out", vocabulary=330)
    assert (done.report["held_out"], done.report["texts"]) == ("validation split", 20)
    assert done.manifest["read"]["paragraphs"] == 20


def test_copies_of_a_sample_are_learnt_from_and_measured_once(tmp_path: Path) -> None:
    rows = [{"id": f"{number}#0", "article_id": f"{number}", "copy": copy, "prefix": "Titre. ", "text": TEXTS[0]}
            for number in range(100) for copy in range(3)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    done = train(tmp_path / "rows.parquet", tmp_path / "out", vocabulary=330, held_out=20)
    aside = sum(is_held_out(str(number), 20) for number in range(100))
    assert (done.report["texts"], done.manifest["read"]["paragraphs"]) == (aside, 3 * (100 - aside))
    assert done.manifest["read"]["characters"] == 3 * (100 - aside) * len("Titre. " + TEXTS[0])


def test_of_a_large_data_set_some_articles_are_read(small: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "LEARNT", module._Texts(small, 5)._size("train") // 4)
    done = train(small, tmp_path / "out", vocabulary=350, held_out=5)
    assert 0.15 < done.manifest["read"]["paragraphs"] / 400 < 0.35


def test_rare_characters_are_left_to_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_RARE", 1e-3)
    rows = [{"id": f"{number}#0", "article_id": f"{number}", "text": TEXTS[0] if number else "le ﷽ rare"}
            for number in range(100)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    train(tmp_path / "rows.parquet", tmp_path / "out", vocabulary=330, held_out=20)
    assert "﷽" not in fast_tokenizer(tmp_path / "out").get_vocab()


def hand_made(*pieces: str) -> Tokenizer:
    """A tokenizer whose pieces are all as probable; letters are known."""
    letters = [(letter, -20.0) for letter in "▁abcdefghijklmnopqrstuvwxyzé,0123456789"]
    vocabulary = [("<unk>", 0.0), *((piece, -1.0) for piece in pieces), *letters]
    found = tokenizer_of(models.Unigram([(token, 0.0) for token in module.SPECIAL] + vocabulary[1:], 3))
    found.encode_special_tokens = True
    return found


def test_figures_are_those_that_a_person_counts() -> None:
    found = hand_made("▁la", "▁cholécyst", "ectomie", "▁l'", "▁à")
    # la | cholécyst ectomie | l' | a t t e i n t | ▁ 1 2 , 5 | ∆
    told = compare(found, None, ["la cholécystectomie", "l'atteint 12,5 ∆"])
    assert (told.texts, told.words, told.numbers, told.characters) == (2, 4, 1, 19 + 16)
    assert told.own.tokens == 1 + 2 + 1 + 7 + 5 + 2
    assert told.own.subwords_per_word == pytest.approx((1 + 2 + 1 + 7) / 4)
    assert told.own.whole_words == 0.5
    assert told.own.tokens_per_number == 5  # with the mark of the space before it
    assert told.own.unknown == pytest.approx(1 / 18)
    assert told.own.bytes == 0
    assert told.own.characters_per_token == pytest.approx(35 / 18)
    assert told.other is None


def bytewise(*pieces: str) -> Tokenizer:
    found = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    found.pre_tokenizer, found.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    return found


def wordpiece(*pieces: str) -> Tokenizer:
    vocabulary = {piece: number for number, piece in enumerate(("[UNK]", *pieces))}
    found = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    found.normalizer, found.pre_tokenizer = normalizers.NFC(), pre_tokenizers.BertPreTokenizer()
    found.add_special_tokens(["[UNK]"])
    return found


@pytest.mark.parametrize(
    "other",
    [
        bytewise("Ġla", "ĠhÃ©pat", "ite", ",", "Ġdes", "Ã"),  # and a part of a character
        wordpiece("la", "hépat", "##ite", ",", "des"),
        tokenizer_of(models.BPE({"▁la": 5, "▁hépat": 6, "ite": 7, "▁,": 8, "▁des": 9, "<0x41>": 10}, [])),
    ],
    ids=["bytes", "wordpiece", "metaspace"],
)
def test_vocabularies_are_compared_whatever_they_mark_words_with(other: Tokenizer) -> None:
    own = tokenizer_of(models.BPE({"▁la": 5, "▁hépat": 6, "ite": 7, ",": 8, "▁hépatite": 9, "des": 10}, []))
    told = compare(own, other, ["la"])
    # la, hépat, ite and the comma; `des` begins a word in one only.
    assert told.shared == 4
    assert told.shared_of_own == pytest.approx(4 / 6)
    assert told.shared_of_other == pytest.approx(4 / 5)


def test_examples_are_the_words_that_are_cut_most_otherwise() -> None:
    own, other = hand_made("▁hépatite", "▁calcul", "▁la"), hand_made("▁hépat", "ite", "▁bilan")
    told = compare(own, other, ["hépatite calcul la bilan", "la hépatite bilan calcul"], least=2)
    assert told.better == [
        Example("calcul", 2, ["calcul"], ["▁", "c", "a", "l", "c", "u", "l"]),
        Example("hépatite", 2, ["hépatite"], ["hépat", "ite"]),
    ]
    assert told.worse == [Example("bilan", 2, ["▁", "b", "i", "l", "a", "n"], ["bilan"])]
    assert compare(own, other, ["hépatite calcul la bilan"], least=2).better == []


def test_a_letter_in_bytes_is_told_as_bytes(trained: Path) -> None:
    told = compare(fast_tokenizer(trained), None, ["ж"])
    assert told.own.tokens == 3  # ▁ and two bytes
    assert told.own.bytes == pytest.approx(2 / 3)
    assert told.own.unknown == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "wordpiece"}, "model type wordpiece: expected unigram or bpe"),
        ({"held_out": 0}, "0 % of the articles cannot be held out"),
        ({"held_out": 0.001}, "no article is held out at 0.001 %, to measure the tokenizer on: hold more out"),
        ({"vocabulary": 280}, "a vocabulary of 280 is too small: 5 special tokens, 256 bytes and"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], message: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(PretrainError, match=message):
        train(small, tmp_path / "out", **({"held_out": 5, "vocabulary": 400} | changed))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_another_tokenizer_must_be_there_and_fast(small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PretrainError, match="empty cannot be read"):
        train(small, tmp_path / "out", against=tmp_path / "empty")
    CanineTokenizer().save_pretrained(tmp_path / "slow")
    with pytest.raises(PretrainError, match="written in Python and too slow"):
        train(small, tmp_path / "out", against=tmp_path / "slow")


def test_without_texts_there_is_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ParagraphsError, match="no Parquet files of paragraphs"):
        train(tmp_path, tmp_path / "out")
    rows = [{"id": f"{number}", "article_id": f"{number}", "text": None} for number in range(100)]
    schema = pa.schema({"id": pa.string(), "article_id": pa.string(), "text": pa.string()})
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "rows.parquet")
    with pytest.raises(PretrainError, match="there is no text"):
        train(tmp_path / "rows.parquet", tmp_path / "out")
    with pytest.raises(PretrainError, match="not one word"):
        compare(hand_made(), None, ["…"])


def test_the_command_tells_what_it_measured(small: Path, trained: Path, tmp_path: Path) -> None:
    code, told = run(small, "--output", tmp_path / "out", "--vocabulary", 5_000, "--held-out", 5, "--against", trained)
    assert code == 0
    entries = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["vocabulary"]["entries"]
    assert f"The text gives {entries:,} entries, not 5,000" in told
    assert "tokens a word" in told
    assert "pieces are in both" in told
    code, told = run(small, "--output", tmp_path / "out", "--vocabulary", 5_000, "--held-out", 5)
    assert (code, "nothing to train" in told) == (0, True)


def test_the_command_says_what_is_wrong(small: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "-o", tmp_path / "out") == (1, f"error: {tmp_path}: no Parquet files of paragraphs there; "
                                                     "give a folder that `corpuskit build` wrote")  # fmt: skip
    code, told = run(small, "-o", tmp_path / "out", "--model-type", "words")
    assert (code, told) == (1, "error: model type words: expected unigram or bpe")


def test_of_clinical_cases_medical_words_are_whole(real_data: Path, tmp_path: Path) -> None:
    cases = [json.loads(line) for line in (real_data / "e3c_ccby" / "pamj_fr.jsonl").open(encoding="utf-8")]
    rows = [{"id": case["id"], "article_id": case["id"], "text": " ".join(case["text"].split())} for case in cases]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    done = train(tmp_path / "rows.parquet", tmp_path / "out", vocabulary=16_000, held_out=3)
    assert done.manifest["vocabulary"]["entries"] == 16_000
    own = done.report["own"]
    assert own["unknown"] == 0
    assert own["subwords_per_word"] < 1.2
    assert own["whole_words"] > 0.9
    found = fast_tokenizer(tmp_path / "out")
    for word in ("cholécystectomie", "immunohistochimie", "échographie", "antécédents", "cette", "chez"):
        assert found.encode(word, add_special_tokens=False).tokens == [f"▁{word}"]
