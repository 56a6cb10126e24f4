"""Publishing: a corpus, its samples and annotations as a folder that `datasets.load_dataset` opens as it is.

Nothing is held but the groups of the splits and the counts: rows stream from the tables that the stages wrote to
the files of the data set. What the card says is counted on the way, or stands in the manifests of those stages.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from pydantic import Field

from corpuskit import energy, identifiers, runs
from corpuskit.dedup.near import NearOptions
from corpuskit.enrich import prompts
from corpuskit.enrich.annotations import AnnotationsError
from corpuskit.enrich.annotations import read as read_annotations
from corpuskit.enrich.prompts import Prompt
from corpuskit.files import InputFile
from corpuskit.paragraphs import read
from corpuskit.paragraphs.read import ParagraphsError
from corpuskit.publish import card, croissant, log, splits
from corpuskit.publish.beside import Answers, Beside, BesideError, beside, join
from corpuskit.publish.licences import UNKNOWN, judge
from corpuskit.publish.removal import Removal, RemovalError, removal
from corpuskit.publish.shards import shards
from corpuskit.publish.splits import Groups, Shares
from corpuskit.records import PARAGRAPH_SCHEMA
from corpuskit.steps import StepOptions
from corpuskit.student import store
from corpuskit.student.heads import StudentError

TOOL = "corpuskit publish"
#: The folder of the tables, a folder a configuration in it.
DATA = "data"
RECIPES, PROMPTS = "recipes", "prompts"
#: Columns that publishing adds after the text.
HASH, WITHHELD = "text_sha256", "withheld"
#: Columns without two equal values to speak of.
DISTINCT = ("id", "text", HASH, "cluster_id")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ROWS = 20_000
_ADDED = [
    pa.field(HASH, pa.string(), metadata={"description": "SHA-256 of the text in UTF-8, published or not"}),
    pa.field(WITHHELD, pa.string(), metadata={"description": "why the text is not published; null where it is"}),
]


class PublishError(Exception):
    """A data set that cannot be published; the message says why and what to do."""


class Publication(StepOptions):
    """What a publication says of itself, and how it is cut."""

    name: str = Field("", description="title of the card; the name of the folder unless given")
    authors: tuple[str, ...] = Field((), description="who is to be cited")
    contact: str = Field("", description="address or URL for questions and removals")
    url: str = Field("", description="where the data set will be")
    licences: dict[str, str] = Field(default_factory=dict, description="by source, the licence of what states none")
    shares: Shares = Field(Shares(), description="train, validation and test, in per cent of the articles")
    #: None: where the build did not drop near-duplicates.
    link: bool | None = Field(None, description="compare texts to keep near-duplicates in one split")


@dataclass(frozen=True, slots=True)
class Published:
    """A finished publication: its folder, its manifest, and False when the folder already held this very one."""

    output: Path
    manifest: dict[str, Any]
    worked: bool
    #: What was to be left out and is in no article of the corpus.
    unknown: tuple[str, ...] = ()


def publish(
    corpus: str | Path,
    output: str | Path,
    publication: Publication | None = None,
    *,
    samples: Mapping[str, str | Path] | None = None,
    annotations: Sequence[tuple[str, str | Path]] = (),
    agreement: str | Path | None = None,
    student: str | Path | None = None,
    without: str | Path | None = None,
    overwrite: bool = False,
) -> Published:
    """Write the data set, or go on with one that was interrupted (from its beginning; a folder is whole or absent).

    Args:
        corpus: what `corpuskit build` wrote.
        output: folder to write.
        publication: how.
        samples: by the name of their configuration, what `corpuskit sample` wrote.
        annotations: of the paragraphs: a name that stands before their columns (`annotation` for ""), and the folder.
        agreement: what `corpuskit agree --json` wrote.
        student: the folder of the student that gave the labels, for its report.
        without: articles to leave out, see :func:`corpuskit.publish.removal.removal`.
        overwrite: replace another publication that is in the folder.

    Raises:
        PublishError: nothing to publish, things that do not belong together, another thing in the folder, or a folder
            that cannot be written.
    """
    corpus, output = Path(corpus), Path(output).absolute()
    publication = publication or Publication()
    try:
        return _publish(
            corpus,
            output,
            publication,
            {name: Path(path) for name, path in (samples or {}).items()},
            [(name, Path(path)) for name, path in annotations],
            Path(agreement) if agreement else None,
            Path(student) if student else None,
            Path(without) if without else None,
            overwrite,
        )
    except (AnnotationsError, BesideError, ParagraphsError, RemovalError, runs.RunError) as error:
        raise PublishError(str(error)) from None
    except OSError as error:
        where = error.filename or output
        raise PublishError(f"{where}: {error.strerror or error}; choose another folder, or make room") from error


def _publish(
    corpus: Path,
    output: Path,
    publication: Publication,
    samples: Mapping[str, Path],
    annotations: Sequence[tuple[str, Path]],
    agreement: Path | None,
    student: Path | None,
    without: Path | None,
    overwrite: bool,
) -> Published:
    started, begun, meter = runs.now(), time.perf_counter(), energy.counting()
    for name in samples:
        if not _NAME.fullmatch(name) or name in ("articles", "paragraphs"):
            raise PublishError(f"a sample cannot be called {name!r}: give it another name with --sample NAME=DIR")
    for name, _ in annotations:
        if name and not _NAME.fullmatch(name):
            raise PublishError(f"annotations cannot be called {name!r}: letters, digits, `.`, `_` and `-`")
    _check(corpus, samples)
    stated = _stated(corpus, publication.licences)
    publication = publication.model_copy(
        update={"name": publication.name or corpus.absolute().name, "licences": stated}
    )
    left_out = removal(without, corpus) if without else Removal()
    stages = _stages(corpus, samples, annotations, agreement, student)
    tables = _tables(corpus, samples, annotations)
    inputs = runs.describe_all([InputFile(str(path), name, path.stat().st_size) for name, path in tables])
    versions = runs.versions()
    decisive = publication.model_dump(mode="json", exclude={"url"})
    fingerprint = runs.fingerprint(TOOL, decisive, left_out.sha256, stages, inputs, versions)
    finished = runs.read_manifest(output)
    if finished is not None and finished["tool"] == TOOL and finished["fingerprint"] == fingerprint and not overwrite:
        runs.tidy(output, fingerprint)
        if publication.url not in ("", finished["publication"]["url"]):
            finished["publication"]["url"] = publication.url
            _describe(output, finished)
        return Published(output, finished, worked=False, unknown=left_out.unknown)
    if finished is not None and (finished["tool"] != TOOL or not overwrite):
        hint = " or replace it with --overwrite" if finished["tool"] == TOOL else ""
        raise PublishError(f"{output} holds another run of {finished['tool']}: choose another folder{hint}")
    if finished is None and output.exists() and not (output / runs.WORK).exists() and any(output.iterdir()):
        raise PublishError(f"{output} holds something else: choose another folder")

    with runs.working(output, fingerprint) as work:
        fresh, scratch = work / "output", work / "scratch"
        if not (fresh / runs.MANIFEST).exists():
            for folder in (fresh, scratch):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            told = {
                "tool": TOOL,
                "fingerprint": fingerprint,
                "started": started,
                "publication": publication.model_dump(mode="json"),
                **_write(corpus, fresh, scratch, publication, samples, annotations, stages, left_out),
                "removed": left_out.told,
                "stages": stages,
                "inputs": inputs,
                "versions": versions,
                "executor": "local",
                "workers": 1,
                "machine": runs.public(runs.machine()),
            }
            told |= {"seconds": {"publish": round(time.perf_counter() - begun, 3)}, "energy": meter.read().told}
            _describe(fresh, told)
        if finished is not None:  # what the other publication had, and this one may not have
            (output / runs.MANIFEST).unlink()
            for part in (DATA, RECIPES, PROMPTS):
                shutil.rmtree(output / part, ignore_errors=True)
        runs.publish(fresh, output)
        shutil.rmtree(work)
    finished = runs.read_manifest(output)
    assert finished is not None
    return Published(output, finished, worked=True, unknown=left_out.unknown)


def _check(corpus: Path, samples: Mapping[str, Path]) -> None:
    for folder in (corpus, *samples.values()):
        names = read.dataset(folder).schema.names
        if HASH in names:
            raise PublishError(f"{folder} is a published data set: give the corpus that it was made from")
    for name, folder in samples.items():
        told = runs.read_manifest(folder)
        if told is None or told["tool"] != "corpuskit sample":
            raise PublishError(f"{folder} ({name}) is no sample: give a folder that `corpuskit sample` wrote")
        whole, drawn_from = runs.read_manifest(corpus), (told.get("corpus") or {}).get("fingerprint")
        if whole and drawn_from and drawn_from != whole["fingerprint"]:
            raise PublishError(f"{folder} ({name}) was drawn from another corpus than {corpus}: sample this one")


def _stated(corpus: Path, licences: Mapping[str, str]) -> dict[str, str]:
    """The licences that were given for sources, each by its usual name."""
    if not licences:
        return {}
    sources = {
        name
        for batch in read.batches(corpus, ["source"], _ROWS)
        for name in batch["source"].unique().to_pylist()
        if name
    }
    for source, licence in licences.items():
        if source not in sources:
            near = difflib.get_close_matches(source, sources, n=1)
            mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(sources))}"
            raise PublishError(f"--licence {source}={licence}: no such source in {corpus}; {mend}")
        if judge(licence).withheld == UNKNOWN:
            raise PublishError(
                f"--licence {source}={licence}: no licence that is known; give one of those that docs/publish.md "
                "lists, such as CC-BY-4.0"
            )
    return {source: identifiers.licence(licence) for source, licence in licences.items()}


def _stages(
    corpus: Path,
    samples: Mapping[str, Path],
    annotations: Sequence[tuple[str, Path]],
    agreement: Path | None,
    student: Path | None,
) -> dict[str, Any]:
    """The manifests and reports of all earlier stages, without the paths of the machine that they ran on."""
    build = runs.read_manifest(corpus)
    found: dict[str, Any] = {
        "build": build if build and build["tool"] == "corpuskit build" else None,
        "funnel": _json(corpus / "funnel.json"),
        "annotations": [],
        "samples": {},
        "agreement": None,
        "student": None,
    }
    for name, folder in annotations:
        told = read_annotations(folder)
        found["annotations"].append(
            {
                "name": name or told.prompt.name,
                "prefix": _prefix(name),
                "annotator": told.annotator._asdict(),
                "prompt": told.prompt.model_dump(mode="json"),
                "report": _json(folder / "enrichment.json") or runs.read_manifest(folder),
            }
        )
    for name, folder in samples.items():
        found["samples"][name] = {"manifest": runs.read_manifest(folder), "sample": _json(folder / "sample.json")}
    if agreement is not None:
        found["agreement"] = _json(agreement)
        if not isinstance(found["agreement"], dict) or not {"raters", "fields"} <= found["agreement"].keys():
            raise PublishError(f"{agreement} holds no agreement: give the file that `corpuskit agree --json` wrote")
    if student is not None:
        found["student"] = _student(student, found["annotations"])
    scrubbed: dict[str, Any] = runs.public(found)
    return scrubbed


def _prefix(name: str) -> str:
    """What stands before the columns of annotations: many a field is called as a column of the paragraphs is."""
    return f"{name or 'annotation'}_"


def _student(folder: Path, annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    try:
        fingerprint = store.find(folder).fingerprint
    except StudentError as error:
        raise PublishError(str(error)) from None
    by = [told["annotator"] for told in annotations]
    if not any(one["kind"] == "student" and one["revision"] == fingerprint[:12] for one in by):
        raise PublishError(f"{folder} is not the student that gave these labels; its report would tell of another")
    report = _json(folder / "report.json")
    if report is None:
        raise PublishError(f"{folder} has no report.json")
    return {"fingerprint": fingerprint, "report": report}


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None


def _tables(
    corpus: Path, samples: Mapping[str, Path], annotations: Sequence[tuple[str, Path]]
) -> list[tuple[str, Path]]:
    """Every table that is read, with a name that does not depend on where it is."""
    found = [(f"articles/{path.name}", path) for path in sorted((corpus / "articles").glob("*.parquet"))]
    found += [(f"paragraphs/{path.name}", path) for path in read.files(corpus)]
    for name, folder in samples.items():
        found += [(f"{name}/{path.name}", path) for path in read.files(folder)]
    for name, folder in annotations:
        paths = map(Path, read_annotations(folder).dataset.files)
        found += [(f"annotations/{name}/{path.name}", path) for path in paths]
    return found


def _write(
    corpus: Path,
    fresh: Path,
    scratch: Path,
    publication: Publication,
    samples: Mapping[str, Path],
    annotations: Sequence[tuple[str, Path]],
    stages: dict[str, Any],
    left_out: Removal,
) -> dict[str, Any]:
    """Write all tables; gives what was counted."""
    link = publication.link if publication.link is not None else not deduplicated(stages["build"])
    found = splits.groups(corpus, publication.shares, link, scratch)
    taken = {*read.dataset(corpus).schema.names, HASH, WITHHELD}
    tables: list[Beside] = []
    for name, folder in annotations:
        one = beside(corpus, folder, name or f"annotations-{len(tables)}", _prefix(name), taken, scratch)
        taken |= set(one.columns.values())
        tables.append(one)
    configurations = {}
    if files := sorted((corpus / "articles").glob("*.parquet")):
        configurations["articles"] = _articles(files, fresh / DATA / "articles", found, publication, left_out)
    answers = [Answers(one) for one in tables]
    configurations["paragraphs"] = _paragraphs(
        corpus, fresh / DATA / "paragraphs", found, publication, left_out, answers
    )
    for name, folder in samples.items():
        recipe = (stages["samples"][name]["manifest"] or {}).get("recipe") or {}
        quoting = ("prefix",) if "{text}" in str(recipe.get("prefix")) else ()
        configurations[name] = _paragraphs(folder, fresh / DATA / name, found, publication, left_out, quoting=quoting)
    return {
        "configurations": configurations,
        "splits": {
            "shares": list(publication.shares),
            "linked": found.linked,
            "near_duplicates_dropped": near_dropped(stages["build"]),
            "groups": len(found.sizes),
            "articles_in_groups": len(found.of),
            "largest_group": max(found.sizes.values(), default=1),
        },
        "annotated": [one.told for one in answers],
    }


def near_dropped(build: dict[str, Any] | None) -> dict[str, Any] | None:
    """By which criterion a build dropped near-duplicates, of articles and of paragraphs; None if it did not."""
    dedup = ((build or {}).get("config") or {}).get("dedup") or {}
    near: dict[str, Any] | None = dedup.get("near")
    # What a manifest does not say is as it is by default.
    return near and NearOptions().model_dump(mode="json") | near


def deduplicated(build: dict[str, Any] | None) -> bool:
    """Whether a build dropped all that would be linked here."""
    dedup = ((build or {}).get("config") or {}).get("dedup") or {}
    near, least = near_dropped(build), NearOptions().model_dump()
    decisive = ("threshold", "ngram", "min_words")
    return bool(
        near and all(near[one] <= least[one] for one in decisive) and dedup.get("articles") and dedup.get("paragraphs")
    )


def _articles(
    files: Iterable[Path], folder: Path, groups: Groups, publication: Publication, left_out: Removal
) -> dict[str, Any]:
    counted = Counter[tuple[Any, ...]]()
    years: dict[str, list[int]] = {}
    with shards(folder, DISTINCT) as out:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(_ROWS):
                table = left_out.without(pa.Table.from_batches([batch]), "id")
                table = _licensed(table, publication.licences)
                places = splits.column(table["id"].combine_chunks(), groups, publication.shares)
                out.write(table, places)
                _count(counted, table.append_column("split", places), ("split", "source", "licence"), "words")
                by = table.group_by("source").aggregate([("year", "min"), ("year", "max")]).to_pylist()
                for row in by:
                    both = [row["year_min"], row["year_max"]]
                    years.setdefault(str(row["source"]), []).extend(one for one in both if one)
    told = _told(folder, counted, ("split", "source", "licence"), "articles")
    told["years"] = {source: [min(found), max(found)] for source, found in sorted(years.items()) if found}
    return told


def _paragraphs(
    path: Path,
    folder: Path,
    groups: Groups,
    publication: Publication,
    left_out: Removal,
    answers: Sequence[Answers] = (),
    quoting: Sequence[str] = (),
) -> dict[str, Any]:
    counted = Counter[tuple[Any, ...]]()
    names = read.dataset(path).schema.names
    by = ("split", "source", "licence", WITHHELD, "language")
    rows = _rows(path)
    joined = [join(_columns(path, "id"), one.beside.files, one.beside.columns) for one in answers]
    with shards(folder, DISTINCT) as out:
        for table, *beside in zip(rows, *joined, strict=True):
            table = _licensed(table, publication.licences)
            table = _withhold(table)
            for more in beside:
                for column in more.schema:
                    table = table.append_column(column, more[column.name])
            table = left_out.without(table, "article_id")
            table = _without_quotes(table, [*quoting, *_quoting(table.schema)])
            for one in answers:
                one.count(table)
            article = table["article_id"] if "article_id" in names else pa.nulls(len(table), pa.string())
            places = splits.column(pa.chunked_array(article).combine_chunks(), groups, publication.shares)
            out.write(table, places)
            _count(counted, table.append_column("split", places), by, "words")
    return _told(folder, counted, by, "paragraphs")


def _rows(path: Path) -> Iterator[pa.Table]:
    schema = read.dataset(path).schema
    return (pa.Table.from_batches([batch]) for batch in read.batches(path, schema.names, _ROWS))


def _columns(path: Path, *names: str) -> Iterator[pa.Table]:
    return (pa.Table.from_batches([batch]) for batch in read.batches(path, names, _ROWS))


def _licensed(table: pa.Table, stated: Mapping[str, str]) -> pa.Table:
    """With the columns `source` and `licence`; a licence that is stated for a source where the article has none."""
    for name in ("source", "licence"):
        if name not in table.schema.names:
            table = table.append_column(name, pa.nulls(len(table), pa.string()))
    place = table.schema.get_field_index("licence")
    licence = table["licence"].cast(pa.string())
    # An empty one is none.
    licence = pc.if_else(pc.equal(licence, ""), pa.scalar(None, pa.string()), licence)
    for source, one in stated.items():
        missing = pc.and_(pc.is_null(licence), pc.fill_null(pc.equal(table["source"], source), False))
        licence = pc.if_else(missing, one, licence)
    return table.set_column(place, table.schema.field(place).with_type(pa.string()), licence)


def _withhold(table: pa.Table) -> pa.Table:
    """With hash and verdict after the text, which is left out where its licence does not let it be passed on."""
    licence = table["licence"].combine_chunks().dictionary_encode()
    verdicts = [judge(one).withheld or None for one in [*licence.dictionary.to_pylist(), None]]
    why = pa.array(verdicts, pa.string()).take(licence.indices.fill_null(len(verdicts) - 1))
    text = table["text"].combine_chunks()
    why = pc.if_else(pc.and_(text.is_null(), why.is_null()), "no text in the corpus", why)
    place = table.schema.get_field_index("text")
    shown = pc.if_else(pc.is_null(why), text, pa.scalar(None, text.type))
    table = table.set_column(place, table.schema.field(place), shown)
    for after, (column, values) in enumerate(zip(_ADDED, (hashes(text), why), strict=True), start=1):
        table = table.add_column(place + after, column, values)
    return table


def hashes(texts: pa.Array) -> pa.Array:
    """The SHA-256 of each text in UTF-8, in hexadecimal; null of null."""
    texts = texts.cast(pa.large_string())
    _, bounds, data = texts.buffers()
    places = np.frombuffer(bounds, np.int64, len(texts) + 1, texts.offset * 8).tolist() if len(texts) else [0]
    view, digest = memoryview(data or b""), hashlib.sha256
    joined = b"".join([digest(view[start:end]).digest() for start, end in pairwise(places)]).hex()
    offsets = pa.py_buffer(np.arange(0, 64 * len(places), 64, dtype=np.int32))
    found = pa.StringArray.from_buffers(len(texts), offsets, pa.py_buffer(joined.encode()))
    return pc.if_else(texts.is_valid(), found, pa.scalar(None, pa.string())) if texts.null_count else found


def _quoting(schema: pa.Schema) -> list[str]:
    """Columns that may quote the text: lists of strings, as passages are, but for those of the paragraph table."""
    known = set(PARAGRAPH_SCHEMA.names)
    return [
        field.name
        for field in schema
        if field.name not in known and pa.types.is_list(field.type) and _is_string(field.type.value_type)
    ]


def _is_string(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type))


def _without_quotes(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    shown = pc.is_null(table[WITHHELD])
    for name in columns:
        place = table.schema.get_field_index(name)
        kept = pc.if_else(shown, table[name], pa.scalar(None, table.schema.field(place).type))
        table = table.set_column(place, table.schema.field(place), kept)
    return table


def _count(counted: Counter[tuple[Any, ...]], table: pa.Table, by: Sequence[str], words: str) -> None:
    """Add up rows and words by some columns; one that is not there is null."""
    there = [name for name in by if name in table.schema.names]
    wanted: list[tuple[Any, str]] = [([], "count_all")] + ([(words, "sum")] if words in table.schema.names else [])
    for row in table.group_by(there).aggregate(wanted).to_pylist():
        key = tuple(row.get(name) for name in by)
        counted[*key, "rows"] += row["count_all"]
        counted[*key, "words"] += row.get(f"{words}_sum") or 0


def _told(folder: Path, counted: Counter[tuple[Any, ...]], by: Sequence[str], unit: str) -> dict[str, Any]:
    """The counts of a configuration: by split, and all together by the other columns."""
    found: dict[str, Any] = {"unit": unit, "splits": {}}
    cells: dict[tuple[Any, ...], dict[str, int]] = {}
    for (split, *key, what), number in counted.items():
        of = found["splits"].setdefault(split, {"rows": 0, "words": 0, "with_text": 0, "files": 0, "bytes": 0})
        of[what] += number
        if what == "rows" and WITHHELD in by and key[by.index(WITHHELD) - 1] is None:
            of["with_text"] += number
        cell = cells.setdefault(tuple(key), {"rows": 0, "words": 0})
        cell[what] += number
    for split, of in found["splits"].items():
        files = list(folder.glob(f"{split}-*.parquet"))
        of["files"], of["bytes"] = len(files), sum(path.stat().st_size for path in files)
        if unit == "articles":
            del of["with_text"]
    found["splits"] = {split: found["splits"][split] for split in splits.SPLITS if split in found["splits"]}
    ordered = sorted(cells.items(), key=lambda cell: tuple(map(str, cell[0])))
    found["counts"] = [dict(zip(by[1:], key, strict=True)) | cell for key, cell in ordered]
    return found


def _describe(folder: Path, told: dict[str, Any]) -> None:
    """Write what stands beside the tables: prompts, recipes, accounts, card, Croissant; and the manifest, last."""
    stages = told["stages"]
    for one in stages["annotations"]:
        (folder / PROMPTS).mkdir(exist_ok=True)
        prompt = prompts.written(Prompt.model_validate(one["prompt"]))
        (folder / PROMPTS / f"{one['name']}.md").write_text(prompt, encoding="utf-8")
    recipes = {
        name: _yaml(_given(recipe))
        for name, one in stages["samples"].items()
        if (recipe := (one["manifest"] or {}).get("recipe"))
    }
    for name, recipe in recipes.items():
        (folder / RECIPES).mkdir(exist_ok=True)
        (folder / RECIPES / f"{name}.yaml").write_text(recipe, encoding="utf-8")
    if stages["build"]:
        (folder / "build.yaml").write_text(_yaml(stages["build"]["config"]), encoding="utf-8")
    if stages["funnel"]:
        runs.write_json(folder / "funnel.json", stages["funnel"])
    with open(folder / log.LOG, "wb") as file:
        file.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in log.lines(told))
    for name, page in card.pages(told, recipes).items():
        (folder / name).write_text(page, encoding="utf-8")
    runs.write_json(folder / "croissant.json", croissant.describe(told, folder / DATA))
    told["outputs"] = runs.describe_folder(folder, runs.MANIFEST)
    runs.write_json(folder / runs.MANIFEST, told)


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return text


def _given(value: Any) -> Any:
    """Settings without those that are null."""
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    return [_given(one) for one in value] if isinstance(value, list) else value
