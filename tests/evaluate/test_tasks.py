"""Tasks: those that come along are whole, parts are cut the same way each time, and bad input is told by its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from corpuskit import settings
from corpuskit.evaluate import tasks
from corpuskit.evaluate.loaders import Brat
from corpuskit.evaluate.records import Document, Entity, TaskError
from corpuskit.evaluate.tasks import PARTS, Cut, Data, Task

SAMPLES = Path(settings.__file__).parent / "samples" / "tasks"
TASK: dict[str, Any] = {
    "title": "Symptômes",
    "source": "nowhere",
    "licence": "CC0",
    "kind": "spans",
    "loader": {"format": "brat"},
    "parts": {"train": "train", "dev": "dev", "test": "test"},
}


def write(folder: Path, **changed: Any) -> Path:
    (folder / "task.yaml").write_text(yaml.safe_dump(TASK | changed, sort_keys=False), encoding="utf-8")
    return folder / "task.yaml"


def document(folder: Path, part: str, text: str, annotations: str | None, name: str = "1") -> Path:
    (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / part / f"{name}.txt").write_text(text, encoding="utf-8")
    if annotations is not None:
        (folder / part / f"{name}.ann").write_text(annotations, encoding="utf-8")
    return folder


def whole(folder: Path) -> Path:
    for part in PARTS:
        document(folder, part, "Toux.", "T1\tsosy 0 4\tToux\n")
    return folder


def table(folder: Path, train: str, test: str, **changed: Any) -> tuple[Task, Path]:
    """A task of texts with labels, dev as train."""
    (folder / "train.csv").write_text(f"text,label\n{train}", encoding="utf-8")
    (folder / "test.csv").write_text(f"text,label\n{test}", encoding="utf-8")
    parts = {"train": "train.csv", "dev": "train.csv", "test": "test.csv"}
    loader = {"format": "table", "separator": "|"}
    return tasks.load(write(folder, kind="labels", loader=loader, parts=parts, **changed)), folder


def told(task: Task, data: Path) -> str:
    with pytest.raises(TaskError) as error:
        tasks.read(task, data)
    return str(error.value)


# --- those that come along

NAMES = sorted(tasks.shipped())


def test_what_comes_along() -> None:
    assert NAMES == [
        "cas1", "cas2", "demo-choice", "demo-labels", "demo-ner", "document-type", "e3c", "e3c-columns",
        "frasimed-cantemist", "frasimed-distemist", "frenchmedmcqa", "mantra", "meddialog-fr", "morfitt",
        "negation-cas", "negation-cas-sentence", "negation-essai", "negation-essai-sentence", "numbers",
        "quaero-emea", "quaero-emea-dev", "quaero-medline", "quaero-medline-dev", "senses",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_task_that_comes_along_is_valid_and_can_be_written_down(name: str) -> None:
    task = tasks.load(name)
    assert task.name == name
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert all(task.labels.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_page_lists_every_task(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page


@pytest.mark.parametrize(
    ("name", "documents", "annotated"),
    [("demo-ner", (48, 12, 20), (254, 64, 98)), ("demo-labels", (72, 16, 32), (72, 16, 32)),
     ("demo-choice", (12, 4, 10), (18, 6, 15))],
)  # fmt: skip
def test_the_samples(name: str, documents: tuple[int, ...], annotated: tuple[int, ...]) -> None:
    data = tasks.read(tasks.load(name), SAMPLES)
    assert counts(data) == (documents, annotated)


def test_the_sample_of_entities_has_what_is_hard() -> None:
    data = tasks.read(tasks.load("demo-ner"), SAMPLES)
    for part, split in data.parts.items():
        entities = [entity for document in split.documents for entity in document.entities]
        assert {entity.label for entity in entities} == {"ANAT", "CHEM", "DISO", "PROC"}
        assert any(entity.discontinuous for entity in entities)
        assert part == "dev" or any(not document.entities for document in split.documents)
        nested = [
            (one, other)
            for document in split.documents
            for one in document.entities
            for other in document.entities
            if one is not other and one.start <= other.start and other.end <= one.end
        ]
        assert nested
    texts = [document.text for split in data.parts.values() for document in split.documents]
    assert len(set(texts)) == len(texts)


def counts(data: Data) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Documents of each part, and what is annotated in them."""
    splits = data.parts.values()
    return (
        tuple(len(split.documents) for split in splits),
        tuple(sum(len(one.entities) + len(one.labels) for one in split.documents) for split in splits),
    )


@pytest.mark.parametrize(
    ("name", "documents", "annotated", "labels"),
    [
        ("quaero-emea-dev", (8, 3, 12), (2190, 505, 2260), 10),
        ("quaero-medline-dev", (750, 83, 832), (2685, 309, 2977), 10),
        ("mantra", (175, 25, 50), (785, 70, 198), 10),
        ("frasimed-cantemist", (911, 130, 260), (11243, 1490, 3245), 1),
        ("frasimed-distemist", (525, 75, 150), (5710, 807, 1542), 1),
        ("morfitt", (1514, 1022, 1088), (2110, 1446, 1560), 12),
        ("frenchmedmcqa", (2171, 312, 622), (5159, 597, 1197), 0),
        ("document-type", (85, 12, 24), (85, 12, 24), 6),
    ],
)
def test_the_real_data(
    real_data: Path, name: str, documents: tuple[int, ...], annotated: tuple[int, ...], labels: int
) -> None:
    data = tasks.read(tasks.load(name), real_data)
    assert counts(data) == (documents, annotated)
    assert len(data.labels) == labels
    groups = [{one.group for one in split.documents if one.group} for split in data.parts.values()]
    if name not in ("quaero-emea-dev",):  # its test part is official
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_the_full_release_of_quaero_is_not_there(real_data: Path) -> None:
    assert "no file *.txt or *.ann at" in (problem := told(tasks.load("quaero-emea"), real_data))
    assert "in a folder test/EMEA; there are such in dev/EMEA, dev/MEDLINE, train/EMEA, train/MEDLINE" in problem


# --- files made after a format


def test_cas(tmp_path: Path) -> None:
    text, annotations = "Toux au thorax.", "T1\tsosy 0 4\tToux\nT2\tanatomie 8 14\tthorax\nT3\tautre 5 7\tau\n"
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        document(tmp_path / "cas", part, text, annotations, name)
    symptoms = tasks.read(tasks.load("cas1"), tmp_path)
    assert [len(split.documents) for split in symptoms.parts.values()] == [1, 1, 1]
    assert symptoms.test.documents == (Document("c", text, (Entity(((0, 4),), "sosy", "T1"),)),)
    assert symptoms.test.counted == {"entity of another label": 2}
    assert symptoms.labels == ("pathologie", "sosy")
    others = tasks.read(tasks.load("cas2"), tmp_path)
    assert others.test.documents == (Document("c", text, (Entity(((8, 14),), "anatomie", "T2"),)),)


def test_meddialog(tmp_path: Path) -> None:
    folder = tmp_path / "MedDialog-FR-women"
    (folder / "multilabel_annotation").mkdir(parents=True)
    (folder / "post-editing").mkdir()
    labels = "id\tlabels\tsplit\nq1\t['C1', 'C2']\ttrain\nq2\t['C2']\tdev\nq3\t['C1']\ttest\n"
    (folder / "multilabel_annotation" / "dataset_multilabel_meddialog_22labels.csv").write_text(labels)
    texts = "id\tmachine_translation\tpost-edited\nq1\tx\tUne ?\nq2\tx\tDeux ?\nq3\tx\tTrois ?\n"
    (folder / "post-editing" / "meddialog-fr-women_post-editing.csv").write_text(texts)
    data = tasks.read(tasks.load("meddialog-fr"), tmp_path)
    assert data.train.documents == (Document("q1", "Une ?", labels=("C1", "C2")),)
    assert data.test.documents == (Document("q3", "Trois ?", labels=("C1",)),)
    assert data.labels == ("C1", "C2")


@pytest.mark.parametrize("name", ["negation-cas", "negation-essai"])
def test_negation(tmp_path: Path, name: str) -> None:
    sentence = "{0}\t0\tPas\tpas\tADV\tB_cue_neg\t_\n{0}\t1\tmal\tmal\tADV\t_\tB_scope_neg\n\n"
    file = f"{name.removeprefix('negation-').upper()}_neg.txt"
    (tmp_path / file).write_text("".join(sentence.format(number) for number in range(20)), encoding="utf-8")
    data = tasks.read(tasks.load(name), tmp_path)
    assert counts(data) == ((14, 2, 4), (28, 4, 8))
    classes = tasks.read(tasks.load(f"{name}-sentence"), tmp_path)
    assert {document.labels for document in classes.test.documents} == {("negated",)}


def test_numbers_and_senses(tmp_path: Path) -> None:
    for part in PARTS:
        (tmp_path / "numbers").mkdir(exist_ok=True)
        (tmp_path / "numbers" / f"{part}.jsonl").write_text(
            '{"id": 1, "text": "Glycémie 2,1", "numbers": [{"start": 9, "end": 12, "kind": "glycémie", '
            '"outside": true}]}\n',
            encoding="utf-8",
        )
        (tmp_path / f"{part}.jsonl").write_text(
            '{"id": 1, "sentence": "Le sein.", "word": "sein", "senses": {"a": "x", "b": "y"}, "sense": "a"}\n',
            encoding="utf-8",
        )
    assert tasks.read(tasks.load("numbers"), tmp_path).labels == ("glycémie", "outside")
    assert tasks.load("numbers").layers == {"outside": "range", "within": "range", "*": "kind"}
    assert tasks.read(tasks.load("senses"), tmp_path).test.documents[0].focus == (3, 7)


# --- cutting


@given(st.integers(2, 60), st.floats(1, 60), st.integers(1, 9))
def test_a_cut_keeps_groups_together_and_loses_nothing(size: int, share: float, groups: int) -> None:
    documents = [Document(str(place), "x", group=str(place % groups)) for place in range(size)]
    taken, rest = tasks._cut(documents, Cut(of="train", share=share), size, "t")
    assert sorted((*taken, *rest), key=lambda one: int(one.id)) == documents
    assert not {one.group for one in taken} & {one.group for one in rest}
    assert len(taken) >= max(1, int(size * share / 100))
    # Another order of the same documents is the same cut.
    again, _ = tasks._cut(documents[::-1], Cut(of="train", share=share), size, "t")
    assert {one.id for one in again} == {one.id for one in taken}


def test_a_cut_by_document_parts_groups() -> None:
    documents = [Document(str(place), "x", group="g") for place in range(10)]
    taken, rest = tasks._cut(documents, Cut(of="train", share=20, by="document"), 10, "t")
    assert (len(taken), len(rest)) == (2, 8)


# --- bad input


def test_a_missing_annotation_file(tmp_path: Path) -> None:
    document(whole(tmp_path), "dev", "Fièvre.", None, "2")
    assert told(tasks.load(write(tmp_path)), tmp_path) == (
        f"task task: {tmp_path}/dev/2.txt has no .ann beside it: get the missing files, or take it out"
    )


def test_wrong_offsets(tmp_path: Path) -> None:
    document(whole(tmp_path), "test", "Toux.", "\nT1\tsosy 1 5\tToux\n")
    problem = told(tasks.load(write(tmp_path)), tmp_path)
    assert problem.startswith(f"task task: {tmp_path}/test/1.ann: line 2: T1 is 'Toux', and 'oux.' in ")


def test_no_data(tmp_path: Path) -> None:
    problem = told(tasks.load(write(tmp_path)), tmp_path / "none")
    assert problem == (f"task task: no data at {tmp_path}/none: give --data its folder (source: nowhere)")


def test_a_folder_with_missing_files(tmp_path: Path) -> None:
    document(tmp_path, "train", "Toux.", "")
    problem = told(tasks.load(write(tmp_path, data="sosy")), tmp_path)
    assert problem == (
        f"task task: no file *.txt or *.ann at {tmp_path} in a folder dev; there are such in train "
        f"(there is no sosy at {tmp_path})"
    )


def test_an_empty_part(tmp_path: Path) -> None:
    document(tmp_path, "train", "Toux.", "")
    document(tmp_path, "test", "Toux.", "")
    task = tasks.load(write(tmp_path, parts={"train": "train", "dev": {"of": "train", "share": 10}, "test": "test"}))
    assert told(task, tmp_path).startswith(f"task task: train is empty at {tmp_path}")


def test_two_documents_of_one_id(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from collections import Counter\n"
        "from corpuskit.evaluate.records import Document, Split\n"
        "def read(data, part):\n"
        "    return Split((Document('1', 'a'), Document('1', 'b')), Counter())\n",
        encoding="utf-8",
    )
    task = tasks.load(write(tmp_path, loader={"format": "python", "function": "own.py:read"}))
    assert told(task, tmp_path) == "task task: two documents of train are called '1': rename one"


def test_a_label_of_test_that_train_has_not(tmp_path: Path) -> None:
    document(whole(tmp_path), "test", "Toux.", "\n\nT1\tdose 0 4\tToux\n")
    assert told(tasks.load(write(tmp_path)), tmp_path) == (
        f"task task: {tmp_path}/test/1.ann: line 3: the label 'dose' of test is in no document of train: "
        "mend it, or list it under `labels`"
    )
    labels = {"sosy": "signe", "dose": "dose"}
    assert tasks.read(tasks.load(write(tmp_path, labels=labels)), tmp_path).labels == ("sosy", "dose")
    problem = told(tasks.load(write(tmp_path, labels={"sosy": "signe"})), tmp_path)
    assert "test/1.ann: line 3: the label 'dose' of test is not one of the task's `labels`" in problem


def test_a_label_of_a_text_that_train_has_not(tmp_path: Path) -> None:
    assert told(*table(tmp_path, "Toux,a\n", "Toux,a\nFièvre,b\n")) == (
        f"task task: {tmp_path}/test.csv: line 3: the label 'b' of test is in no document of train: "
        "mend it, or list it under `labels`"
    )


def test_several_labels_where_one_is_asked_for(tmp_path: Path) -> None:
    assert told(*table(tmp_path, "Toux,a\nMal,b\n", "Toux,a|b\n")) == (
        f"task task: {tmp_path}/test.csv: line 2: 2 labels (a, b), and the task takes one of each text: "
        "let `several: true` say that it takes more"
    )
    assert tasks.read(*table(tmp_path, "Toux,a\nMal,b\n", "Toux,a|b\n", several=True)).labels == ("a", "b")


def test_choices_that_are_none(tmp_path: Path) -> None:
    task, data = table(tmp_path, "Toux,a\n", "Toux,a\n")
    problem = told(task.model_copy(update={"kind": "choice"}), data)
    assert problem == (
        f"task task: {tmp_path}/train.csv: line 2: there is nothing to choose from: "
        "such a task needs a loader of questions or senses"
    )


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"lables": {}}, ["lables: no such option; did you mean `labels`?"]),
        ({"loader": {"format": "bratt"}}, ["loader: there is no format 'bratt'; did you mean 'brat'?"]),
        ({"loader": {"path": "x"}}, ["loader: `format` is missing: one of brat, conll, e3c,"]),
        ({"loader": {"format": "brat", "grup": "x"}}, ["loader.brat.grup: no such option; did you mean `group`?"]),
        ({"parts": {"train": "a", "dev": "b"}}, ["parts: test is missing: say where it is, or cut it"]),
        ({"parts": {"train": "a", "dev": {"of": "test", "share": 1}, "test": {"of": "train", "share": 1}}},
         ["parts: dev is cut from test, which is itself cut"]),
        ({"kind": "labels", "policy": "nested"}, ["layers and policy are for tasks of spans"]),
        ({"kind": "span", "title": ""}, ["kind: Input should be 'spans', 'labels' or 'choice' (given: 'span')",
                                          "title: String should have at least 1 character (given: '')"]),
    ],
)  # fmt: skip
def test_a_task_file_with_a_typo(tmp_path: Path, changed: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(TaskError) as error:
        tasks.load(write(tmp_path, **changed))
    assert str(error.value).startswith(f"{tmp_path}/task.yaml cannot be used:\n")
    for line in lines:
        assert f"  - {line}" in str(error.value)


def test_a_task_that_is_missing_or_no_yaml(tmp_path: Path) -> None:
    told = (
        r"^quaero-eme: there is no such file; tasks that come along are cas1, .*, senses; did you mean quaero-emea\?$"
    )
    with pytest.raises(TaskError, match=told):
        tasks.load("quaero-eme")
    with pytest.raises(TaskError, match=r"^other: there is no such file; tasks that come along are .*, senses$"):
        tasks.load("other")
    (tmp_path / "task.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(TaskError, match=r"task\.yaml: not YAML"):
        tasks.load(tmp_path / "task.yaml")


def test_nothing_that_comes_along_is_ignored_by_git() -> None:
    """Neither a clone nor a package would have it."""
    root = Path(settings.__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("no clone")
    command = ["git", "-C", str(root), "ls-files", "--others", "--ignored", "--exclude-standard", "--"]
    folders = ("corpuskit", "pipelines", "prompts", "data_cards")
    found = subprocess.run([*command, *folders], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [name for name in found if "__pycache__" not in name] == []


def test_a_task_in_python(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from collections import Counter\n"
        "from corpuskit.evaluate.records import Document, Split\n"
        "from corpuskit.evaluate.loaders import Python\n"
        "from corpuskit.evaluate.tasks import Task\n"
        "def read(data, part):\n"
        "    return Split((Document('1', part, labels=('a',)),), Counter())\n"
        "TASK = Task(name='mine', kind='labels', title='t', source='s', licence='l', loader=Python(function=read),\n"
        "            parts={'train': 'x', 'dev': 'y', 'test': 'z'})\n",
        encoding="utf-8",
    )
    task = tasks.load(path)
    again = Task.model_validate_json(task.model_dump_json())
    assert tasks.read(again, tmp_path).test.documents == (Document("1", "z", labels=("a",)),)


def test_a_program_may_define_its_own_loader(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from collections import Counter\n"
        "from corpuskit.evaluate import tasks\n"
        "from corpuskit.evaluate.records import Document, Split\n"
        "from corpuskit.evaluate.loaders import Python\n"
        "def read(data, part):\n"
        "    return Split((Document('1', part, labels=('a',)),), Counter())\n"
        "task = tasks.Task(name='mine', kind='labels', title='t', source='s', licence='l',\n"
        "                  loader=Python(function=read), parts={'train': 'x', 'dev': 'y', 'test': 'z'})\n"
        "print(tasks.read(task, '.').test.documents[0].text)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("z\n", "")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("X = 1\n", "a task in Python is `TASK = Task(…)`, and there is no such thing in the file"),
        ("TASK = 1\n", "a task in Python is `TASK = Task(…)`"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_python_file_without_a_task(tmp_path: Path, code: str, problem: str) -> None:
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    with pytest.raises(TaskError) as error:
        tasks.load(tmp_path / "mine.py")
    assert str(error.value).startswith(f"{tmp_path}/mine.py: {problem}")


@pytest.mark.parametrize(
    ("changed", "headline"),
    [
        ({}, "strict"),
        ({"kind": "labels"}, "accuracy"),
        ({"kind": "labels", "several": True}, "micro_f1"),
        ({"kind": "choice"}, "exact_match"),
        ({"measure": "overlap"}, "overlap"),
    ],
)
def test_the_headline(changed: dict[str, Any], headline: str) -> None:
    assert Task.model_validate({"name": "t"} | TASK | changed).headline == headline


def test_a_loader_may_be_given_as_it_is() -> None:
    assert Task.model_validate({"name": "t"} | TASK | {"loader": Brat(only=("a",))}).loader == Brat(only=("a",))


def test_e3c(tmp_path: Path) -> None:
    for layer, names in (("layer2", ("a", "b")), ("layer1", ("c",))):
        folder = tmp_path / "E3C-Corpus" / "data_annotation" / "French" / layer
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.xml").write_text(
                '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore" '
                'xmlns:custom="http:///webanno/custom.ecore">'
                '<custom:CLINENTITY xmi:id="1" begin="0" end="4"/><cas:Sofa xmi:id="2" sofaString="Toux."/></xmi:XMI>',
                encoding="utf-8",
            )
    data = tasks.read(tasks.load("e3c"), tmp_path)
    assert counts(data) == ((1, 1, 1), (1, 1, 1))
    assert data.test.documents == (Document("c", "Toux.", (Entity(((0, 4),), "CLINENTITY", "1"),)),)
    columns = tmp_path / "E3C-Corpus" / "preprocessed_data" / "clinical_entities" / "French"
    columns.mkdir(parents=True)
    (columns / "train.txt").write_text("Toux B-ety\n\nFièvre B-ety\naiguë I-ety\n", encoding="utf-8")
    (columns / "test.txt").write_text("Mal O\n", encoding="utf-8")
    data = tasks.read(tasks.load("e3c-columns"), tmp_path)
    assert counts(data) == ((1, 1, 1), (1, 1, 0))
    assert data.labels == ("CLINENTITY",)
