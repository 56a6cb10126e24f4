"""Systems side by side, on small cases worked by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import result_folders as folders
from hypothesis import given
from hypothesis import strategies as st
from result_folders import PROTOCOL, spans, write
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.evaluate import protocol as protocols
from corpuskit.evaluate.compare import Comparison, compare, find, holm, ranks, title
from corpuskit.evaluate.records import Answer, Document, Entity, TaskError

FEVER = "Fièvre et toux sèche"
ASPIRIN = "Aspirine ce matin"
RIGHT = {
    "d1": spans(FEVER, ("Fièvre", "SIGN"), ("toux sèche", "SIGN")),
    "d2": spans(ASPIRIN, ("Aspirine", "DRUG")),
}
DOCUMENTS = (Document("d1", FEVER, RIGHT["d1"]), Document("d2", ASPIRIN, RIGHT["d2"]))
ALL = {id: Answer(entities) for id, entities in RIGHT.items()}
NO_DRUG = ALL | {"d2": Answer()}
COUGH = ALL | {"d1": Answer(spans(FEVER, ("Fièvre", "SIGN"), ("toux", "SIGN")))}
TASK = folders.task()


def found(*paths: Path, baseline: str | None = None, measures: Sequence[str] | None = None) -> Comparison:
    return compare(find(paths), baseline, measures)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The encoder: two seeds, F1 0.8 and 1.0; the dictionary: 4/6."""
    write(tmp_path / "a", "dictionary", (TASK, DOCUMENTS, {1: COUGH}), kind="dictionary")
    write(tmp_path / "b", "encoder", (TASK, DOCUMENTS, {1: NO_DRUG, 2: ALL}))
    return tmp_path


def test_figures_by_hand(two: Path) -> None:
    (ranking,) = found(two).rankings
    assert (ranking.headline, ranking.baseline) == ("strict", "dictionary")
    first, second = ranking.systems
    assert (first.name, second.name) == ("encoder", "dictionary")
    figure = first.figures["strict"]
    assert figure.by_seed == pytest.approx((4 / 5, 1.0))
    assert (figure.spread.mean, figure.spread.deviation) == pytest.approx((0.9, 0.02**0.5))
    assert second.figures["strict"].spread.mean == pytest.approx(4 / 6)
    assert second.figures["strict"].spread.deviation is None
    assert second.figures["strict"].against is None
    against = figure.against
    assert against
    assert against.difference.value == pytest.approx(0.9 - 4 / 6)
    assert against.difference.win_rate == 1.0
    # One comparison: Holm changes nothing.
    assert against.p_bootstrap == against.difference.p_bootstrap
    assert {name: each.rank for name, each in first.figures.items()} == dict.fromkeys(ranking.measures, 1) | {
        # The dictionary touches all, and has something of every label.
        "overlap": 2, "overlap_span": 2, "token_macro": 2, "token_with_o_macro": 2
    }  # fmt: skip
    assert second.figures["overlap"].spread.mean == 1.0
    assert figure.interval.low is not None


def test_figures_of_each_label(two: Path) -> None:
    (ranking,) = found(two).rankings
    encoder, dictionary = ranking.systems
    assert {name: (one.f1, one.support) for name, one in encoder.classes.items()} == {
        "DRUG": (0.5, 1), "SIGN": (1.0, 2)
    }  # fmt: skip
    assert {name: (one.precision, one.recall, one.f1) for name, one in dictionary.classes.items()} == {
        "DRUG": (1.0, 1.0, 1.0), "SIGN": (0.5, 0.5, 0.5)
    }  # fmt: skip


def test_the_baseline_is_the_first_or_the_one_that_is_named(two: Path) -> None:
    assert found(two / "b", two / "a").rankings[0].baseline == "encoder"
    (ranking,) = found(two, baseline="encoder").rankings
    assert ranking.systems[0].figures["strict"].against is None
    against = ranking.systems[1].figures["strict"].against
    assert against
    assert against.difference.value == pytest.approx(4 / 6 - 0.9)
    assert against.difference.win_rate == 0.0
    with pytest.raises(TaskError, match=r"no system 'drbert' .* one of dictionary, encoder$"):
        found(two, baseline="drbert")


def test_measures_are_chosen_beside_the_headline(two: Path) -> None:
    assert found(two, measures=["token", "overlap"]).rankings[0].measures == ("strict", "overlap", "token")
    with pytest.raises(TaskError, match="no measure 'f1': choose of strict, strict_macro, exact_span"):
        found(two, measures=["f1"])


def test_systems_called_alike_have_their_folders_names(tmp_path: Path) -> None:
    for place in ("x/run", "y/run", "z"):
        write(tmp_path / place, "encoder", (TASK, DOCUMENTS, {1: ALL}))
    (ranking,) = found(tmp_path).rankings
    assert [one.name for one in ranking.systems] == ["encoder (x/run)", "encoder (y/run)", "encoder (z)"]
    assert ranking.baseline == "encoder (x/run)"
    with pytest.raises(TaskError, match=r"3 systems are called 'encoder' .* encoder \(x/run\), encoder \(y/run\)"):
        found(tmp_path, baseline="encoder")


def test_one_system_on_two_tasks_in_two_folders_is_one(tmp_path: Path) -> None:
    other = folders.task("autre")
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {1: ALL}))
    write(tmp_path / "y", "encoder", (other, DOCUMENTS, {1: COUGH}))
    write(tmp_path / "z", "dictionary", (TASK, DOCUMENTS, {1: NO_DRUG}), (other, DOCUMENTS, {1: ALL}))
    comparison = found(tmp_path, baseline="dictionary")
    (over,) = comparison.overall
    assert (over.protocol, over.tasks, over.left_out) == ("camembert-bio", ("essai", "autre"), ())
    assert [(one.name, one.mean_rank, one.win_rate) for one in over.systems] == [
        ("encoder", 1.5, 0.5), ("dictionary", 1.5, None)
    ]  # fmt: skip


def test_tasks_that_not_all_did_are_left_out_of_the_whole(tmp_path: Path) -> None:
    other = folders.task("autre")
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {1: ALL}), (other, DOCUMENTS, {1: ALL}))
    write(tmp_path / "y", "dictionary", (TASK, DOCUMENTS, {1: COUGH}))
    comparison = found(tmp_path, baseline="dictionary")
    (over,) = comparison.overall
    assert (over.tasks, over.left_out) == (("essai",), ("autre, camembert-bio",))
    assert [(one.name, one.mean_rank, one.win_rate) for one in over.systems] == [
        ("encoder", 1.0, 1.0), ("dictionary", 2.0, None)
    ]  # fmt: skip
    alone = comparison.rankings[1]
    assert alone.baseline is None
    assert "The baseline dictionary was not run on this: there are no differences." in alone.notes


def test_systems_are_compared_on_the_documents_that_all_were_asked(two: Path, tmp_path: Path) -> None:
    write(tmp_path / "c", "llm", (TASK, DOCUMENTS[:1], {1: {"d1": ALL["d1"]}}), kind="llm")
    (ranking,) = found(two).rankings
    assert [one.id for one in ranking.documents] == ["d1"]
    # Without d2 the encoder misses nothing, and the dictionary has one of two signs.
    assert [(one.name, one.figures["strict"].spread.mean) for one in ranking.systems] == [
        ("encoder", 1.0), ("llm", 1.0), ("dictionary", 0.5)
    ]  # fmt: skip
    assert ranking.notes[0] == (
        "Compared on the 1 of 2 documents that all systems were asked (dictionary 2, encoder 2, llm 1)."
    )
    write(tmp_path / "d", "other", (TASK, DOCUMENTS[1:], {1: {"d2": ALL["d2"]}}))
    with pytest.raises(TaskError, match=r"task essai: there is no document that all systems were asked: dictionary \("):
        found(two)


def test_a_document_that_is_annotated_otherwise_is_told(two: Path) -> None:
    changed = (replace(DOCUMENTS[0], entities=RIGHT["d1"][:1]), DOCUMENTS[1])
    write(two / "c", "late", (TASK, changed, {1: ALL}))
    with pytest.raises(TaskError, match=r"document 'd1' is not the same for dictionary .* and late"):
        found(two)


def test_a_seed_without_an_answer_is_told(tmp_path: Path) -> None:
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {7: {"d1": ALL["d1"]}}))
    with pytest.raises(TaskError, match="task essai: seed 7 has no answer of 1 documents, such as 'd2'"):
        found(tmp_path)


def test_protocols_are_never_in_one_ranking(tmp_path: Path) -> None:
    drbert = PROTOCOL.model_copy(update={"name": "drbert", "headline": "token_with_o_weighted"})
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {1: ALL}))
    write(tmp_path / "y", "encoder", (TASK, DOCUMENTS, {1: COUGH}), protocol=drbert)
    comparison = found(tmp_path)
    assert [(title(one), one.headline, len(one.systems)) for one in comparison.rankings] == [
        ("essai, camembert-bio", "strict", 1), ("essai, drbert", "token_with_o_weighted", 1)
    ]  # fmt: skip
    assert comparison.notes == (
        "essai was scored by 2 protocols (camembert-bio; drbert): figures of one are not to be compared with those of "
        "another, so they stand in tables of their own.",
    )
    assert comparison.overall == ()


def test_nor_are_two_policies_under_one_name(tmp_path: Path) -> None:
    nested = PROTOCOL.model_copy(update={"policy": "nested"})
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {1: ALL}))
    write(tmp_path / "y", "encoder", (TASK, DOCUMENTS, {1: COUGH}), protocol=nested)
    comparison = found(tmp_path)
    assert [title(one, comparison.rankings) for one in comparison.rankings] == [
        "essai, camembert-bio (outermost, strict, words)", "essai, camembert-bio (nested, strict, words)"
    ]  # fmt: skip


def test_encoders_that_were_fine_tuned_otherwise_are_compared_and_it_is_said(tmp_path: Path) -> None:
    longer = PROTOCOL.model_copy(update={"steps": 2_000, "resamples": 500})
    write(tmp_path / "x", "short", (TASK, DOCUMENTS, {1: ALL}))
    write(tmp_path / "y", "long", (TASK, DOCUMENTS, {1: ALL}), protocol=longer)
    (ranking,) = found(tmp_path).rankings
    assert ranking.notes[-1] == "The encoders were fine-tuned with other settings: steps (short 20, long 2000)."


def test_a_protocol_that_was_not_kept_to_is_told(tmp_path: Path) -> None:
    write(tmp_path / "x", "encoder", (TASK, DOCUMENTS, {1: ALL}))
    (ranking,) = found(tmp_path).rankings
    assert ranking.notes[-1] == "Not as the protocol camembert-bio says: steps 20, not 2000."
    whole = protocols.load("camembert-bio", resamples=200, seeds=1)
    write(tmp_path / "y", "encoder", (TASK, DOCUMENTS, {1: ALL}), protocol=whole)
    # Its headline is said here, and is what is usual there: one rule.
    write(tmp_path / "z", "dictionary", (TASK, DOCUMENTS, {1: ALL}), kind="dictionary")
    (kept,) = found(tmp_path / "y", tmp_path / "z").rankings
    assert not any("protocol" in note for note in kept.notes)


def test_a_single_document_has_no_interval(tmp_path: Path) -> None:
    for name, answer in (("x", ALL), ("y", COUGH)):
        write(tmp_path / name, name, (TASK, DOCUMENTS[:1], {1: {"d1": answer["d1"]}}))
    (ranking,) = found(tmp_path).rankings
    second = ranking.systems[1].figures["strict"]
    assert (second.interval.low, second.interval.high) == (None, None)
    assert second.against
    assert (second.against.p_bootstrap, second.against.p_randomisation) == (1.0, 1.0)
    assert second.against.mark(0.95) == ""
    assert ranking.notes[0] == "There is a single document to draw from: no interval, and p-values of 1."


def test_groups_are_drawn_whole_where_there_are_enough(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", ASPIRIN, RIGHT["d2"], group=f"patient {n // 2}") for n in range(40)]
    answers = {one.id: ALL["d2"] for one in documents}
    write(tmp_path / "x", "x", (TASK, documents, {1: answers}))
    (ranking,) = found(tmp_path).rankings
    assert (ranking.units, ranking.unit) == (20, "group")
    assert ranking.systems[0].figures["strict"].spread.mean == 1.0


def test_groups_that_are_too_few_to_be_drawn_are_told(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", ASPIRIN, RIGHT["d2"], group=f"patient {n // 4}") for n in range(40)]
    write(tmp_path / "x", "x", (TASK, documents, {1: {one.id: ALL["d2"] for one in documents}}))
    (ranking,) = found(tmp_path).rankings
    assert (ranking.units, ranking.unit) == (40, "document")
    assert ranking.notes[0].startswith(
        "The documents belong to 10 groups, too few to be drawn: documents are drawn as if"
    )


def test_a_sure_difference_is_marked_after_holm(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", ASPIRIN, RIGHT["d2"]) for n in range(40)]
    right = {one.id: ALL["d2"] for one in documents}
    wrong = right | {f"d{n}": Answer() for n in range(20)}
    write(tmp_path / "a", "base", (TASK, documents, {1: wrong}))
    write(tmp_path / "b", "better", (TASK, documents, {1: right}))
    write(tmp_path / "c", "same", (TASK, documents, {1: wrong}))
    write(tmp_path / "d", "worse", (TASK, documents, {1: right | {f"d{n}": Answer() for n in range(39)}}))
    (ranking,) = found(tmp_path).rankings
    against = {one.name: one.figures["strict"].against for one in ranking.systems}
    assert {name: one.mark(0.95) if one else None for name, one in against.items()} == {
        "better": "↑", "base": None, "same": "", "worse": "↓"
    }  # fmt: skip
    better = against["better"]
    assert better
    # Three comparisons, 200 draws: the least there can be is 1/201, and three times that.
    assert better.difference.p_randomisation == pytest.approx(1 / 201)
    assert better.p_randomisation == pytest.approx(3 / 201)
    assert [one.figures["strict"].rank for one in ranking.systems] == [1, 2, 2, 4]


def test_the_rule_moves_the_ranking(tmp_path: Path) -> None:
    """All boundaries off by a word and no entity right, against half of the entities and nothing else."""
    text = "un deux trois quatre cinq six sept huit neuf dix"
    gold = spans(text, ("trois quatre cinq six", "SIGN"))
    short = Answer(spans(text, ("trois quatre cinq", "SIGN")))
    documents = [Document(f"d{n}", text, gold) for n in range(30)]
    write(tmp_path / "a", "touches", (TASK, documents, {1: {one.id: short for one in documents}}))
    half = {one.id: Answer(gold if n % 2 else ()) for n, one in enumerate(documents)}
    write(tmp_path / "b", "hits", (TASK, documents, {1: half}))
    (ranking,) = found(tmp_path).rankings
    by = {one.name: {name: (one.figures[name].rank, round(one.figures[name].spread.mean, 4)) for name in
                     ("strict", "overlap", "token_with_o", "token_with_o_weighted")}
          for one in ranking.systems}  # fmt: skip
    # Micro: 9 of 10 words right, 8 of 10. Weighted: 0.6 of O and 0.4 of SIGN.
    assert by == {
        "hits": {"strict": (1, 0.6667), "overlap": (2, 0.6667), "token_with_o": (2, 0.8),
                 "token_with_o_weighted": (2, round(0.6 * 12 / 14 + 0.4 * 4 / 6, 4))},
        "touches": {"strict": (2, 0.0), "overlap": (1, 1.0), "token_with_o": (1, 0.9),
                    "token_with_o_weighted": (1, round(0.6 * 12 / 13 + 0.4 * 6 / 7, 4))},
    }  # fmt: skip
    marks = {name: figure.against.mark(0.95) if (figure := ranking.systems[0].figures[name]).against else None
             for name in ("strict", "token_with_o")}  # fmt: skip
    assert marks == {"strict": "↑", "token_with_o": "↓"}


def test_what_a_policy_leaves_out_is_counted(tmp_path: Path) -> None:
    text = "cancer du sein gauche"
    inner = (Entity(((0, 14),), "SIGN"), Entity(((10, 14),), "ANAT"), Entity(((0, 6), (15, 21)), "SIGN"))
    document = Document("d", text, inner)
    write(tmp_path / "x", "x", (TASK, [document], {1: {"d": Answer(inner[:1])}}))
    (ranking,) = found(tmp_path).rankings
    assert (ranking.annotated, ranking.left_out) == (3, Counter({"nested": 1, "discontinuous": 1}))
    figures = ranking.systems[0].figures
    assert figures["strict"].spread.mean == 1.0
    assert figures["strict_all"].spread.mean == pytest.approx(2 / 4)


def test_tokens_are_those_that_each_system_reads(tmp_path: Path) -> None:
    drbert = PROTOCOL.model_copy(update={"name": "drbert", "count": "tokens"})
    write(tmp_path / "a", "words", (TASK, DOCUMENTS, {1: NO_DRUG}), protocol=drbert)
    # Aspirine in four pieces, of which each is missed; the signs as they are.
    pieces = [[(0, 6), (10, 14), (15, 20)], [(0, 2), (2, 4), (4, 6), (6, 8)]]
    write(tmp_path / "b", "pieces", (TASK, DOCUMENTS, {1: NO_DRUG}), tokens=pieces, protocol=drbert)
    (ranking,) = found(tmp_path).rankings
    figures = {one.name: one.figures["token"].spread.mean for one in ranking.systems}
    assert figures == pytest.approx({"words": 6 / 7, "pieces": 6 / 10})
    assert ranking.notes[1] == (
        "Scorers of tokens count what each system reads as tokens, and these are not the same for all."
    )


def test_costs_and_losses(tmp_path: Path) -> None:
    runs = [
        {"training_seconds": 10.0, "prediction_seconds": 1.0, "prediction_kwh": 0.001,
         "energy": {"kwh": 0.01, "how": "measured"}, "lost": {"nested": 3, "discontinuous": 1}},
        {"training_seconds": 20.0, "prediction_seconds": 3.0, "prediction_kwh": 0.003,
         "energy": {"kwh": 0.03, "how": "measured"}, "lost": {"nested": 4}},
    ]  # fmt: skip
    write(tmp_path / "a", "encoder", (TASK, DOCUMENTS, {1: ALL, 2: ALL}), runs=runs, parameters=110, bytes=440)
    asked = {"d1": Answer(seconds=1.0, problem="JSON that breaks off"), "d2": Answer(RIGHT["d2"], seconds=3.0)}
    write(tmp_path / "b", "llm", (TASK, DOCUMENTS, {1: asked}), kind="llm")
    encoder, llm = found(tmp_path).rankings[0].systems
    cost = encoder.cost
    assert (cost.parameters, cost.bytes, cost.training_seconds, cost.kwh) == (110, 440, 15.0, pytest.approx(0.02))
    # 4 s and 0.004 kWh for two seeds of two documents.
    assert (cost.latency, cost.latency_95, cost.one_by_one) == (1.0, None, False)
    assert (cost.kwh_1000, cost.metered) == (pytest.approx(1.0), "measured")
    assert encoder.lost == {"nested": 3.5, "discontinuous": 0.5}
    assert (llm.cost.latency, llm.cost.latency_95, llm.cost.one_by_one) == (2.0, pytest.approx(2.9), True)
    assert (llm.cost.training_seconds, llm.cost.kwh, llm.cost.kwh_1000) == (None, None, None)
    assert llm.problems == Counter({"JSON that breaks off": 1})


def test_losses_that_are_told_by_part(tmp_path: Path) -> None:
    parts = {"train": {"annotated": 40, "kept": 30, "nested": 10}, "dev": {"nested": 9}, "test": {"discontinuous": 2}}
    write(tmp_path / "a", "encoder", (TASK, DOCUMENTS, {1: ALL}),
          runs=[{"lost": parts, "truncated": {"train": 0, "test": 3}}])  # fmt: skip
    (ranking,) = found(tmp_path).rankings
    assert ranking.systems[0].lost == {"train: nested": 10.0, "test: texts cut": 3.0, "test: discontinuous": 2.0}


def test_what_was_said_and_comes_to_nothing_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", "llm", (TASK, DOCUMENTS, {1: ALL, 2: ALL}), kind="llm",
          runs=[{"dropped": {"not in the text": 4}}, {"dropped": {}}])  # fmt: skip
    write(tmp_path / "b", "encoder", (TASK, DOCUMENTS, {1: ALL}), runs=[{"strays": 3}])
    (ranking,) = found(tmp_path).rankings
    assert {one.name: one.lost for one in ranking.systems} == {
        "llm": {"dropped: not in the text": 2.0}, "encoder": {"dropped: I- that goes on with nothing": 3.0}
    }  # fmt: skip


def test_labels_and_choices(tmp_path: Path) -> None:
    labels = folders.task("genre", "labels")
    choice = folders.task("qcm", "choice", several=True)
    texts = [Document("d1", "un", labels=("a",)), Document("d2", "deux", labels=("b",))]
    offered = (("a", "oui"), ("b", "non"), ("c", "peut-être"))
    questions = [Document("q1", "quoi ?", labels=("a", "b"), choices=offered)]
    write(
        tmp_path / "x", "x",
        (labels, texts, {1: {"d1": Answer(labels=("a",)), "d2": Answer(labels=("a",))}}),
        (choice, questions, {1: {"q1": Answer(labels=("a",))}}),
    )  # fmt: skip
    genre, qcm = found(tmp_path).rankings
    assert genre.headline == "accuracy"
    assert genre.systems[0].figures["accuracy"].spread.mean == 0.5
    assert set(genre.systems[0].classes) == {"a", "b"}
    assert (qcm.headline, qcm.measures) == ("exact_match", ("exact_match", "hamming"))
    assert [qcm.systems[0].figures[name].spread.mean for name in qcm.measures] == [0.0, 0.5]
    assert qcm.systems[0].classes == {}


def test_folders_without_an_evaluation_are_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no evaluation in .*, nor up to three levels below"):
        find([tmp_path])
    with pytest.raises(TaskError, match="nowhere is no folder"):
        find([tmp_path / "nowhere"])
    with pytest.raises(TaskError, match="nothing to compare"):
        compare([])


def test_a_folder_that_is_given_twice_counts_once(two: Path) -> None:
    assert len(find([two, two / "a"])) == 2


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))
    pairs = sorted(zip(p_values, corrected, strict=True))
    assert [after for _, after in pairs] == sorted(corrected)


def test_holm_and_ranks_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([]) == []
    assert ranks([0.5, 0.7, 0.7, float("nan")]) == [3, 1, 1, 4]


def test_the_command(two: Path) -> None:
    outputs = [two / "tables" / name for name in ("t.md", "t.tex", "t.html")]
    options = zip(("--markdown", "--latex", "--report"), map(str, outputs), strict=True)
    arguments = ["compare", str(two), "--baseline", "encoder", "--measure", "token", *(one for two in options for one in two)]  # fmt: skip  # noqa: E501
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "90.00 ± 14.14" in done.output
    assert all(output.stat().st_size > 100 for output in outputs)
    done = CliRunner().invoke(app, ["compare", str(two), "--baseline", "nobody"])
    assert done.exit_code == 1
    assert "one of dictionary, encoder" in " ".join(done.output.split())
