"""The quick look at models, on models of a few thousand weights that are made here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.pretrain.config import PretrainError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors  # noqa: E402

from corpuskit.cli import fill as command  # noqa: E402
from corpuskit.pretrain.fill import (  # noqa: E402
    Guess,
    LanguageModel,
    Score,
    _windows,
    gap,
    load,
    look,
    predictions,
    pseudo_perplexity,
    read_texts,
    sample,
)

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    "le patient présente une douleur aiguë",
    "une douleur  thoracique\n aiguë présente",
    "présente",
    "le patient le patient une douleur aiguë une",
]


def unigram() -> Tokenizer:
    """SentencePiece's way: ▁ begins a word."""
    pieces = ["▁le", "▁patient", "▁présent", "e", "▁une", "▁doul", "eur", "▁", "aig", "u", "ë", "▁a", "▁thor", "acique"]
    made = Tokenizer(models.Unigram([*((one, 0.0) for one in SPECIAL), *((one, -1.0) for one in pieces)], unk_id=3))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return made


def wordpiece() -> Tokenizer:
    """BERT's way: ## continues a word."""
    pieces = ["le", "patient", "présente", "une", "douleur", "aig", "##uë", "a", "th", "##ora", "##c", "##ique"]
    made = Tokenizer(models.WordPiece({one: place for place, one in enumerate([*SPECIAL, *pieces])}, unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.WhitespaceSplit(), decoders.WordPiece()
    return made


def bytelevel() -> Tokenizer:
    """GPT-2's way: bytes, Ġ begins a word."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["aig", "Ġd", "Ġdo", "Ã«"]
    vocabulary = {one: place for place, one in enumerate([*SPECIAL, *alphabet, "ai", *merged])}
    made = Tokenizer(models.BPE(vocabulary, [("a", "i"), ("ai", "g"), ("Ġ", "d"), ("Ġd", "o"), ("Ã", "«")]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return made


MADE: dict[str, Callable[[], Tokenizer]] = {"▁": unigram, "##": wordpiece, "Ġ": bytelevel}


def written(
    folder: Path,
    kind: str = "▁",
    model: str = "CamembertForMaskedLM",
    seed: int = 0,
    change: Callable[[Any], None] | None = None,
    **config: Any,
) -> str:
    """A model with weights of chance, written to a folder; large ones, so that they tell words apart."""
    made = MADE[kind]()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )  # fmt: skip
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", unk_token="<unk>",
        pad_token="<pad>", mask_token=transformers.AddedToken("<mask>", lstrip=True),
    )  # fmt: skip
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 66, "initializer_range": 0.5,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    kinds = getattr(transformers, model)
    torch.manual_seed(seed)
    network = kinds(kinds.config_class(**settings | config)).eval()
    with torch.no_grad():
        (change or (lambda network: None))(network)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def flat(network: Any) -> None:
    """Every token is as likely as any other."""
    for value in network.parameters():
        value.zero_()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model waits for its threads longer than it computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {
        "camembert": written(root / "camembert"),
        "bert": written(root / "bert", "##", "BertForMaskedLM"),
        "flat": written(root / "flat", change=flat),
        "flat bert": written(root / "flat-bert", "##", "BertForMaskedLM", change=flat),
        "causal": written(root / "causal", model="CamembertForCausalLM", is_decoder=True),
        "gpt": written(root / "gpt", "Ġ", "GPT2LMHeadModel"),
    }


@pytest.fixture(scope="module")
def loaded(folders: dict[str, str]) -> dict[str, LanguageModel]:
    return {name: load(folder) for name, folder in folders.items()}


def words_of(model: LanguageModel, text: str) -> list[list[int]]:
    """The tokens of each word, cut one by one, and so in a way of its own."""
    spaced = [word if number == 0 or model.name.endswith("camembert") else f" {word}"
              for number, word in enumerate(text.split())]  # fmt: skip
    return [model.tokenizer(word, add_special_tokens=False)["input_ids"] for word in spaced]


def surprise(model: LanguageModel, ids: list[int], place: int, goal: int) -> float:
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([ids])).logits[0, place]
    return -float(logits.log_softmax(dim=0)[goal])


def literal(model: LanguageModel, text: str, original: bool = False) -> float:
    """Token by token, a copy at a time, as the papers say it."""
    words = words_of(model, text)
    ids = [0, *(token for word in words for token in word), 2]
    total, start = 0.0, 1
    for word in words:
        for place in range(start, start + len(word)):
            hidden = [place] if original else range(place, start + len(word))
            copy = [4 if position in hidden else token for position, token in enumerate(ids)]
            total += surprise(model, copy, place, ids[place])
        start += len(word)
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Pseudo-perplexity


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("name", ["camembert", "bert"])
def test_pseudo_perplexity_is_that_of_one_copy_at_a_time(
    loaded: dict[str, LanguageModel], name: str, original: bool
) -> None:
    model = loaded[name]
    score = pseudo_perplexity(model, TEXTS, original=original)
    expected = [literal(model, text, original) for text in TEXTS]
    np.testing.assert_allclose(score.nats, expected, rtol=1e-5)
    tokens = [sum(map(len, words_of(model, text))) for text in TEXTS]
    assert score.words.tolist() == [6, 5, 1, 8]
    assert score.tokens.tolist() == tokens
    assert score.characters.tolist() == [37, 37, 8, 43]
    assert score.per_word == pytest.approx(math.exp(sum(expected) / 20))
    assert score.per_token == pytest.approx(math.exp(sum(expected) / sum(tokens)))
    assert score.bits_per_character == pytest.approx(sum(expected) / math.log(2) / 125)


def test_the_rest_of_a_word_gives_its_beginning_away(loaded: dict[str, LanguageModel]) -> None:
    """Only where words have several tokens do the two ways differ."""
    one, other = (pseudo_perplexity(loaded["bert"], TEXTS[:3], original=original).nats for original in (False, True))
    assert one[0] != pytest.approx(other[0])
    assert one[2] == pytest.approx(other[2]), "présente is one token"


@pytest.mark.parametrize("name", ["causal", "gpt"])
def test_a_causal_model_sees_only_what_comes_before(loaded: dict[str, LanguageModel], name: str) -> None:
    model = loaded[name]
    texts = TEXTS[1:3]
    score = pseudo_perplexity(model, texts)
    for text, nats, tokens in zip(texts, score.nats, score.tokens, strict=True):
        ids = [0, *model.tokenizer(" ".join(text.split()), add_special_tokens=False)["input_ids"]]
        expected = sum(surprise(model, ids[:place], place - 1, ids[place]) for place in range(1, len(ids)))
        assert nats == pytest.approx(expected, rel=1e-5)
        assert tokens == len(ids) - 1


def test_a_causal_model_is_one_even_if_its_configuration_forgot(tmp_path: Path, folders: dict[str, str]) -> None:
    """The attention of such a model would reach forward."""
    forgetful = load(written(tmp_path / "model", model="CamembertForCausalLM"))
    np.testing.assert_allclose(
        pseudo_perplexity(forgetful, TEXTS).nats, pseudo_perplexity(load(folders["causal"]), TEXTS).nats, rtol=1e-5
    )


@pytest.mark.parametrize("original", [False, True])
def test_where_all_tokens_are_as_likely_perplexity_is_their_number(
    loaded: dict[str, LanguageModel], original: bool
) -> None:
    score = pseudo_perplexity(loaded["flat"], TEXTS, original=original)
    assert score.per_token == pytest.approx(19, rel=1e-6)
    assert score.per_word == pytest.approx(19 ** (score.tokens.sum() / 20), rel=1e-6)
    assert score.to_dict()["bits_per_character"] == pytest.approx(score.tokens.sum() * math.log2(19) / 125, rel=1e-6)


@pytest.mark.parametrize("name", ["camembert", "gpt"])
def test_what_is_computed_at_once_changes_nothing(loaded: dict[str, LanguageModel], name: str) -> None:
    together = pseudo_perplexity(loaded[name], TEXTS)
    apart = pseudo_perplexity(loaded[name], TEXTS, batch_tokens=1)
    np.testing.assert_allclose(together.nats, apart.nats, rtol=1e-5)


def test_models_of_different_tokenizers_guess_the_same_words(loaded: dict[str, LanguageModel]) -> None:
    scores = [pseudo_perplexity(loaded[name], TEXTS, words=2) for name in ("camembert", "bert", "gpt")]
    for score in scores:
        assert score.words.tolist() == [2, 2, 1, 2]
        assert score.characters.tolist() == scores[0].characters.tolist()
    assert len({score.tokens.sum() for score in scores}) == 3


def test_some_words_are_guessed_as_they_are_among_all(loaded: dict[str, LanguageModel]) -> None:
    """Over all samples of a word a text, no word has another surprise than in the whole."""
    model, text = loaded["bert"], "le patient présente une douleur"
    ids = [0, *(token for word in words_of(model, text) for token in word), 2]
    alone = [surprise(model, [*ids[:at], 4, *ids[at + 1 :]], at, ids[at]) for at in range(1, 6)]
    score = pseudo_perplexity(model, [text], words=1)
    assert min(abs(score.nats[0] - one) for one in alone) < 1e-4
    assert score.tokens.tolist() == [1]


def test_what_a_tokenizer_cannot_write_is_counted(loaded: dict[str, LanguageModel]) -> None:
    score = pseudo_perplexity(loaded["bert"], ["le 日本 patient"])
    assert (score.unknown, score.to_dict()["unknown_tokens"]) == (1, 1)


FAST = transformers.PreTrainedTokenizerFast(tokenizer_object=unigram(), unk_token="<unk>")
VOCABULARY = ["le", "patient", "présente", "une", "douleur", "thoracique", "aiguë"]


@example(["aiguë", "le"], 4)
@given(
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=30),
    st.integers(1, 9),
)
def test_windows_hold_every_word_once_and_cut_none_that_fits(words: list[str], size: int) -> None:
    model = LanguageModel("", None, FAST, True, 99, (0,), (2,))
    found = list(_windows(model, 7, " ".join(words), set(range(len(words))), size))
    tokens = [token for window in found for token in window.ids[1:-1]]
    assert tokens == FAST(" ".join(words), add_special_tokens=False)["input_ids"]
    assert all(window.text == 7 and len(window.ids) <= size + 2 for window in found)
    pieces = [window.ids[start:end] for window in found for start, end in window.words]
    assert [token for piece in pieces for token in piece] == tokens
    if size >= 4:  # the longest word
        assert len(pieces) == len(words)
        assert min(len(window.ids) - 2 for window in found) >= min(len(tokens), size // 2 - 3)


def test_a_long_text_is_read_in_windows(loaded: dict[str, LanguageModel]) -> None:
    model, text = loaded["bert"], "le patient présente une douleur une douleur présente"
    score = pseudo_perplexity(model, [text], window=6)
    halves = ["le patient présente une", "douleur une douleur présente"]
    assert score.nats[0] == pytest.approx(sum(literal(model, half) for half in halves), rel=1e-5)
    assert pseudo_perplexity(model, ["une douleur " * 60]).words.tolist() == [120], "more than its positions"


def test_no_words_no_perplexity(loaded: dict[str, LanguageModel]) -> None:
    with pytest.raises(PretrainError, match="no words in these texts"):
        pseudo_perplexity(loaded["flat"], ["", " \n"])
    with pytest.raises(PretrainError, match="no room for words"):
        pseudo_perplexity(loaded["flat"], TEXTS, window=2)


# ---------------------------------------------------------------------------------------------------------------------
# The difference of two models


def score(nats: list[float], words: list[int]) -> Score:
    counts = np.array(words, np.int64)
    return Score("m", True, np.array(nats, np.float64), counts, counts, counts * 5, 0)


def test_a_gap_is_a_ratio_with_its_interval() -> None:
    one, other = score([3.0, 6.0, 9.0], [1, 2, 3]), score([2.0, 4.0, 6.0], [1, 2, 3])
    found = gap(one, other)
    assert (found.ratio, found.low, found.high) == pytest.approx((math.e,) * 3), "every text says the same"


def test_hard_texts_are_hard_for_both() -> None:
    """Texts differ far more than the models do: only held side by side do those show a gap."""
    hard = np.random.default_rng(1).uniform(10, 1000, 50)
    better = score((hard * 0.98).tolist(), [100] * 50)
    found = gap(better, score(hard.tolist(), [100] * 50))
    assert found.high is not None
    assert found.high < 1
    noise = np.random.default_rng(2).normal(0, 5, 50)
    found = gap(score((hard + noise).tolist(), [100] * 50), score(hard.tolist(), [100] * 50))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1 < found.high


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50), st.integers(1, 9)), min_size=2, max_size=9))
def test_a_gap_turned_round_is_its_inverse(texts: list[tuple[float, float, int]]) -> None:
    one, other, words = (list(column) for column in zip(*texts, strict=True))
    there, back = (gap(score(a, words), score(b, words), 50) for a, b in ((one, other), (other, one)))
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.low is not None
    assert back.high is not None
    assert there.low * back.high == pytest.approx(1)
    assert gap(score(one, words), score(one, words), 50).ratio == 1


def test_a_gap_over_one_text_has_no_interval() -> None:
    found = gap(score([1.0, 0.0], [2, 0]), score([1.0, 0.0], [2, 0]))
    assert (found.ratio, found.low, found.high) == (1.0, None, None)
    with pytest.raises(ValueError, match="did not guess the same words"):
        gap(score([1.0], [2]), score([1.0], [3]))


# ---------------------------------------------------------------------------------------------------------------------
# Predictions


def fixed(kind: str, shares: dict[str, float]) -> Callable[[Any], None]:
    """Weights with which every gap gets these tokens, with these probabilities."""

    def change(network: Any) -> None:
        flat(network)
        network.lm_head.bias.fill_(-1e9)
        for token, share in shares.items():
            network.lm_head.bias[MADE[kind]().token_to_id(token)] = math.log(share)

    return change


@pytest.mark.parametrize(
    ("kind", "shares", "expected"),
    [
        ("▁", {"▁patient": 0.5, "aig": 0.3, "▁": 0.15, "</s>": 0.05},
         [("patient", False), ("aig", True), ("▁", False), ("</s>", False)]),
        ("##", {"patient": 0.5, "##uë": 0.5 - 0.1, "<unk>": 0.1}, [("patient", False), ("uë", True), ("<unk>", False)]),
        ("Ġ", {"Ġdo": 0.4, "Ã«": 0.3, "aig": 0.2, ".": 0.1},
         [("do", False), ("ë", True), ("aig", True), (".", False)]),
    ],
)  # fmt: skip
def test_predictions_are_the_likeliest_tokens_as_people_write_them(
    tmp_path: Path, kind: str, shares: dict[str, float], expected: list[tuple[str, bool]]
) -> None:
    model = load(written(tmp_path / "model", kind, change=fixed(kind, shares)))
    guesses = [Guess(*one, pytest.approx(share)) for one, share in zip(expected, shares.values(), strict=True)]
    assert predictions(model, "le patient présente une <mask> aiguë", top=len(guesses)) == [guesses]
    assert predictions(model, "[MASK] patient <mask>", top=2) == [guesses[:2], guesses[:2]]


def test_each_gap_is_guessed_where_it_stands(loaded: dict[str, LanguageModel]) -> None:
    model = loaded["bert"]
    first, second = predictions(model, "le [MASK] présente une <mask>", top=17)
    ids = [0, *model.tokenizer("le <mask> présente une <mask>", add_special_tokens=False)["input_ids"], 2]
    for place, guesses in ((2, first), (5, second)):
        logits = model.model(input_ids=torch.tensor([ids])).logits[0, place].softmax(dim=0)
        assert [guess.probability for guess in guesses] == pytest.approx(
            sorted(logits.tolist(), reverse=True), rel=1e-4
        )
    assert len(predictions(model, "<mask>", top=100)[0]) == 17, "no more than there are"


@pytest.mark.parametrize("name", ["causal", "gpt"])
def test_a_causal_model_guesses_what_comes_next(loaded: dict[str, LanguageModel], name: str) -> None:
    model = loaded[name]
    (guesses,) = predictions(model, "le patient <mask> ", top=3)
    ids = [0, *model.tokenizer("le patient", add_special_tokens=False)["input_ids"]]
    best = model.model(input_ids=torch.tensor([ids])).logits[0, -1].softmax(dim=0).topk(3)
    assert [guess.probability for guess in guesses] == pytest.approx(best.values.tolist(), rel=1e-4)
    assert len(predictions(model, "<mask>")) == 1
    for text in ("le <mask> présente", "<mask> <mask>"):
        with pytest.raises(PretrainError, match=r"reads from left to right.*at the very end"):
            predictions(model, text)


def test_texts_that_cannot_be_filled(loaded: dict[str, LanguageModel]) -> None:
    with pytest.raises(PretrainError, match="'une douleur' has no gap: write <mask>"):
        predictions(loaded["camembert"], "une douleur")
    # CamemBERT counts its positions from the padding token on: two of 66 are never used.
    assert predictions(loaded["camembert"], "le " * 61 + "<mask>", top=1)
    with pytest.raises(PretrainError, match=r"has 65 tokens; .*camembert takes 64 at once: shorten it"):
        predictions(loaded["camembert"], "le " * 62 + "<mask>")


# ---------------------------------------------------------------------------------------------------------------------
# Models that cannot be used


def test_the_folder_of_a_run_will_do(tmp_path: Path) -> None:
    written(tmp_path / "run" / "model")
    assert load(tmp_path / "run").name == str(tmp_path / "run")


def no_model(folder: Path) -> None:
    folder.mkdir()


def no_tokenizer(folder: Path) -> None:
    written(folder, "##", "BertForMaskedLM")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def no_mask_token(folder: Path) -> None:
    written(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder)


def no_head(folder: Path) -> None:
    written(folder, model="CamembertModel")


def few_rows(folder: Path) -> None:
    written(folder, vocab_size=10)


def no_words(folder: Path) -> None:
    written(folder, model="ViTModel", image_size=16, patch_size=8)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_model, "no language model that can be used"),
        (no_tokenizer, "cannot write the letter a; are its files there"),
        (no_mask_token, "its tokenizer has no mask token"),
        (no_head, "guess at random, for its weights lack lm_head"),
        (few_rows, "its tokenizer has 19 tokens, more than it knows"),
        (no_words, "a vit guesses no words"),
        (lambda folder: None, "there is no such folder"),
    ],
)
def test_a_model_that_cannot_be_used_is_told_from_one_that_can(
    tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    make(tmp_path / "model")
    with pytest.raises(PretrainError, match=told) as failed:
        load(tmp_path / "model")
    assert str(failed.value).startswith(str(tmp_path / "model"))
    assert "\n" not in str(failed.value)


# ---------------------------------------------------------------------------------------------------------------------
# Texts


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("lines.txt", "un\ndeux\n\n", ["un", "deux"]),
        ("paragraphs.txt", "\ufeffun\nencore\n \ndeux\n", ["un\nencore", "deux\n"]),
        ("rows.jsonl", '{"text": "un"}\n\n{"id": 1, "text": null}\n{"text": "deux"}\n', ["un", "deux"]),
        ("empty.txt", "", []),
    ],
)
def test_texts_of_files(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(read_texts(tmp_path / name)) == texts


def test_texts_of_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "corpus" / "paragraphs").mkdir(parents=True)
    for number, texts in enumerate((["un", None], ["deux"])):
        pq.write_table(pa.table({"text": texts}), tmp_path / "corpus" / "paragraphs" / f"{number}.parquet")
    assert list(read_texts(tmp_path / "corpus")) == ["un", "deux"]
    assert list(read_texts(tmp_path / "corpus" / "paragraphs" / "1.parquet")) == ["deux"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "rows.jsonl",
            b'{"text": "un"}\n{"body": "deux"}\n',
            r'rows.jsonl, line 2: expected an object such as {"text"',
        ),
        ("rows.jsonl", b"un\n", "line 1"),
        ("old.txt", b"\xe9t\xe9", "old.txt cannot be read"),
        ("", b"", "no Parquet files of paragraphs there"),
    ],
)
def test_files_that_are_not_texts(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((PretrainError, ParagraphsError), match=told):
        list(read_texts(tmp_path / name))


@given(st.lists(st.text("abc ", min_size=1), unique=True, max_size=9), st.randoms(), st.integers(1, 9))
def test_a_sample_does_not_depend_on_the_order(texts: list[str], chance: Any, number: int) -> None:
    drawn = sample(texts, number)
    assert len(drawn) == min(number, len(texts))
    assert set(drawn) <= set(texts)
    shuffled = list(texts)
    chance.shuffle(shuffled)
    assert sample(shuffled, number) == drawn
    assert sample(texts, number + 1)[: len(drawn)] == drawn, "a larger one holds the smaller"


# ---------------------------------------------------------------------------------------------------------------------
# Side by side


def test_a_look_at_two_models(folders: dict[str, str]) -> None:
    one, other, heard = folders["flat"], folders["flat bert"], []
    told = look([one, other, one], ["le <mask>"], {"general": TEXTS}, top=2, tell=heard.append)
    assert list(told["predictions"][0]["models"]) == [one, other]
    assert heard == [f"general: {name} guesses words of 4 texts on {load(one).model.device}" for name in (one, other)]
    found = told["perplexity"]["general"]
    assert (found["texts"], found["words"]) == (4, 20)
    assert found["models"][other]["perplexity_per_token"] == pytest.approx(17, rel=1e-6)
    against = found["against_the_first"]
    assert list(against) == [other]
    tokens = {name: found["models"][name]["tokens"] for name in (one, other)}
    expected = 17 ** (tokens[other] / 20) / 19 ** (tokens[one] / 20)
    assert against[other]["ratio"] == pytest.approx(expected, rel=1e-6)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command.app, ["fill", *arguments], env={"COLUMNS": "150"})


def test_the_command_shows_models_side_by_side(tmp_path: Path) -> None:
    one = written(tmp_path / "one", change=fixed("▁", {"▁patient": 0.75, "aig": 0.25}))
    other = written(tmp_path / "other", "##", change=fixed("##", {"douleur": 0.6, "##uë": 0.4}))
    done = invoke("une <mask> et <mask>", "--model", one, "--model", other, "--top", "2")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert lines.count(["patient", "75.0%", "douleur", "60.0%"]) == 2
    assert lines.count(["…aig", "25.0%", "…uë", "40.0%"]) == 2
    assert "une <mask> et <mask>" in done.output
    assert "gap 2" in done.output


def test_the_command_shows_gain_and_forgetting(tmp_path: Path, folders: dict[str, str]) -> None:
    lines = [" ".join(text.split()) for text in TEXTS]
    (tmp_path / "field.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "any.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    done = invoke(
        "--model", folders["flat"], "--model", folders["bert"], "--biomedical", str(tmp_path / "field.txt"),
        "--general", str(tmp_path / "any.jsonl"), "--texts", "3", "--words", "0", "--json", str(tmp_path / "out.json"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["predictions"] == []
    assert list(told["perplexity"]) == ["biomedical", "general"]
    biomedical, general = told["perplexity"].values()
    assert biomedical["texts"] == 3
    assert biomedical["models"][folders["flat"]] == general["models"][folders["flat"]]
    ratio = biomedical["against_the_first"][folders["bert"]]["ratio"]
    assert f"{ratio - 1:+.1%} [" in done.output
    assert "words of 3 biomedical texts" in done.output


def test_the_command_says_what_is_not_fair(tmp_path: Path, folders: dict[str, str]) -> None:
    (tmp_path / "texts.txt").write_text("le 日本 patient\n", encoding="utf-8")
    done = invoke("--model", folders["bert"], "--model", folders["gpt"], "--general", str(tmp_path / "texts.txt"))
    assert done.exit_code == 0, done.output
    assert "33.3% of the tokens of" in done.output
    assert "a causal model sees only what comes before" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "x"], "nothing to look at: give a text with <mask>"),
        (["une <mask>", "--model", "/nowhere/model"], "/nowhere/model: there is no such folder"),
        (["--model", "x", "--general", "/nowhere/texts"], "no Parquet files"),
    ],
)
def test_the_command_explains(arguments: list[str], told: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert told in done.output
