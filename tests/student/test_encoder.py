"""The encoder student, on an encoder of a few thousand weights that is made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teachers import annotated, corpus, table

from corpuskit.enrich.annotations import read
from corpuskit.executors import Execution
from corpuskit.student import store
from corpuskit.student.distil import distil
from corpuskit.student.heads import StudentError, heads
from corpuskit.student.label import label

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from corpuskit.student.encoder import Encoder, EncoderOptions, _batches, _by_length, _loss  # noqa: E402

FAST = EncoderOptions(learning_rate=3e-3, head_learning_rate=1e-2, epochs=6, batch=16, max_length=24)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BERT whose words are those of the teacher."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("base")
    words = sorted({word for one in annotated(20) for word in one.text.split()})
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    annotations = table(folder / "annotations", annotated(120))
    report = distil(annotations, str(base), folder / "student", options=FAST)
    return folder / "student", report.content


def test_it_learns_plain_rules(trained: tuple[Path, dict[str, Any]]) -> None:
    _, content = trained
    assert content["fields"]["kind"]["macro_f1"] > 0.9
    assert content["fields"]["quality"]["pearson"] > 0.5
    assert content["fields"]["terms"]["pearson"] > 0.5
    looks = content["training"]["looks"]
    assert content["training"]["dev_loss"] == min(look["dev_loss"] for look in looks)
    assert content["training"]["truncated"] > 0
    assert content["training"]["max_length"] == 24


def test_what_was_saved_answers_the_same_and_is_a_folder_of_transformers(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = trained
    transformers.AutoModel.from_pretrained(folder)
    stored = store.find(folder)
    assert (stored.card.kind, stored.card.settings["options"]["epochs"]) == ("encoder", 6)
    texts = [one.text for one in annotated(8)]
    one, other = stored.load(), stored.load()
    assert one.logits(texts).tobytes() == other.logits(texts).tobytes()
    assert one.truncated == other.truncated == sum(len(text.split()) + 2 > 24 for text in texts)


def test_the_best_weights_are_kept(base: Path, tmp_path: Path) -> None:
    """What is saved has the loss of the best look, not of the last."""
    annotations = table(tmp_path / "annotations", annotated(60))
    wild = FAST.model_copy(update={"learning_rate": 0.05, "head_learning_rate": 0.3, "epochs": 8, "patience": 2})
    content = distil(annotations, str(base), tmp_path / "student", fields=["kind"], options=wild).content
    looks = [look["dev_loss"] for look in content["training"]["looks"]]
    best = looks.index(min(looks))
    assert content["training"]["dev_loss"] == looks[best]
    assert len(looks) <= best + 1 + 2, "it stopped two looks after the best"


def test_the_same_seed_makes_the_same_student(base: Path, tmp_path: Path) -> None:
    annotations = table(tmp_path / "annotations", annotated(40))
    short = FAST.model_copy(update={"epochs": 1})
    for name in ("one", "other"):
        distil(annotations, str(base), tmp_path / name, fields=["kind"], options=short, seed=2)
    texts = [one.text for one in annotated(8)]
    one, other = (store.find(tmp_path / name).load().logits(texts) for name in ("one", "other"))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_padding_and_the_order_of_texts_change_nothing(trained: tuple[Path, dict[str, Any]]) -> None:
    model = store.find(trained[0]).load()
    assert isinstance(model, Encoder)
    texts = [one.text for one in annotated(6)]
    together = model.logits(texts)
    model.batch_tokens = 100
    np.testing.assert_allclose(model.logits(texts), together, atol=1e-4)
    alone = np.concatenate([model.logits([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_bfloat16_says_nearly_the_same(trained: tuple[Path, dict[str, Any]]) -> None:
    model = store.find(trained[0]).load()
    assert isinstance(model, Encoder)
    texts = [one.text for one in annotated(10)]
    exact = model.logits(texts)
    model.half = True
    rounded = model.logits(texts)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()


def test_the_loss_by_hand() -> None:
    from teachers import PROMPT

    asked = heads(PROMPT, ["kind", "quality"])
    logits = torch.zeros((2, 7))
    nothing = [float("nan")] * 4
    goals = torch.tensor([[0.5, 0.5, 0.0, *nothing], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    # log 3 for both kinds; for the one score log 4, and its mean of 2.5 is half the scale away from 4.
    expected = np.log(3) + np.log(4) + 2.0 * (1.5 / 3) ** 2
    loss = _loss(logits, goals, asked, EncoderOptions(score_error=2.0))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_batches_hold_everything_once_and_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 3_000)
    some = list(_batches(np.arange(100, 2_900), lengths, 32, np.random.default_rng(1)))
    assert sorted(np.concatenate(some).tolist()) == list(range(100, 2_900))
    spread = np.mean([np.ptp(lengths[batch]) for batch in some])
    assert spread < 0.1 * np.ptp(lengths)
    ids = [[0] * length for length in lengths.tolist()]
    some = list(_by_length(ids, 2_000))
    assert sorted(np.concatenate(some).tolist()) == list(range(3_000))
    assert all(len(batch) * lengths[batch].max() <= 2_000 for batch in some)
    assert [len(batch) for batch in _by_length([[0] * 9, [0], [0] * 5], 6)] == [1, 1, 1], "one at least"


def test_it_labels_the_same_with_any_number_of_workers(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    texts: list[str | None] = [one.text for one in annotated(60)]
    paragraphs = corpus(tmp_path / "corpus", [*texts, None], group=40)
    found = []
    for workers in (1, 3):
        output = tmp_path / str(workers)
        done = label(paragraphs, trained[0], output, Execution(workers=workers), rows_per_task=50)
        found.append({path.name: path.read_bytes() for path in sorted((output / "annotations").iterdir())})
        assert done.manifest["truncated"] == sum(len((text or "").split()) + 2 > 24 for text in texts)
    assert found[0] == found[1]
    assert read(tmp_path / "1").annotator.name.startswith("base")


@pytest.mark.parametrize("rate", [1e12])
def test_a_loss_that_is_no_number_ends_training(rate: float, base: Path, tmp_path: Path) -> None:
    annotations = table(tmp_path / "annotations", annotated(40))
    wild = FAST.model_copy(update={"learning_rate": rate, "head_learning_rate": 1e30})
    with pytest.raises(StudentError, match=r"try a lower learning rate|never a number"):
        distil(annotations, str(base), tmp_path / "student", fields=["kind"], options=wild)


def test_no_such_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = table(tmp_path / "annotations", annotated(40))
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudentError, match="is no encoder that can be loaded"):
        distil(annotations, str(tmp_path / "empty"), tmp_path / "student")
    with pytest.raises(StudentError, match="is no encoder student"):
        Encoder.load(tmp_path / "empty")
