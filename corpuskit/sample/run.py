"""A sample from beginning to end: what a recipe draws from a corpus, and the account of it."""

from __future__ import annotations

import difflib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from corpuskit import energy, runs
from corpuskit.enrich import annotations as labelling
from corpuskit.executors import Execution, run_tasks
from corpuskit.files import InputFile
from corpuskit.sample import draw, measure
from corpuskit.sample.account import NONE, Spread, Tally, comparison, effective, merged
from corpuskit.sample.draw import Cuts, Units
from corpuskit.sample.fields import Corpus, in_order, open_corpus
from corpuskit.sample.recipe import ANNOTATION, Recipe, RecipeError, SampleError
from corpuskit.sample.sampler import Deal, Job, Weigh, Write, counted, opened, shape, units_of
from corpuskit.sample.weights import Floats, field_of, named_labels

#: Words of a shard of the sample, about 30 MB of text.
WORDS_PER_SHARD = 5_000_000
REPORT, RECIPE = "sample.json", "recipe.yaml"
_TOOL = "corpuskit sample"
#: Values of a field that a note names.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Sampled:
    """A finished sample: its folder, ``sample.json``, the manifest; False when the folder already held it."""

    output: Path
    report: dict[str, Any]
    manifest: dict[str, Any]
    worked: bool


def sample(
    recipe: Recipe,
    source: str | Path,
    output: str | Path,
    annotations: Sequence[str | Path] = (),
    execution: Execution | None = None,
    overwrite: bool = False,
    words_per_shard: int = WORDS_PER_SHARD,
) -> Sampled:
    """Draw a sample, or go on with a run that was interrupted.

    Args:
        recipe: what it is made of.
        source: folder that `corpuskit build` wrote.
        output: folder to write; it appears with its parts whole or not at all.
        annotations: folders that `corpuskit enrich` or `label` wrote, of paragraphs of this corpus.
        execution: where tasks run (this machine unless told).
        overwrite: replace another sample that is in the folder.
        words_per_shard: of a file of the sample, about.

    Raises:
        RecipeError: the recipe asks for what the corpus does not have.
        SampleError: the folder holds another run, is read from or cannot be written, or a table cannot be used.
        corpuskit.paragraphs.read.ParagraphsError: there are no paragraphs.
        corpuskit.enrich.annotations.AnnotationsError: a folder holds no annotations.
        corpuskit.executors.TaskFailed: a task raised or died; what was finished is kept.
    """
    source, output, execution = Path(source).absolute(), Path(output).absolute(), execution or Execution()
    labelled = [Path(path).absolute() for path in annotations]
    try:
        runs.apart(output, source, *labelled)
    except runs.RunError as error:
        raise SampleError(str(error)) from None
    corpus = open_corpus(source, labelled, recipe)
    inputs = _inputs(source, corpus)
    tokenizer = recipe.budget.tokenizer if recipe.budget else None
    decisive = [measure.fingerprint(tokenizer)] if tokenizer else []
    content, versions = recipe.model_dump(mode="json"), runs.versions()
    fingerprint = runs.fingerprint(_TOOL, content, inputs, decisive, words_per_shard, versions)
    started, begun, meter = runs.now(), time.perf_counter(), energy.counting(execution)
    try:
        if (finished := runs.done_before(output, fingerprint, overwrite, _TOOL)) is not None:
            return Sampled(output, _report(output), finished, worked=False)
        with runs.working(output, fingerprint) as work:
            fresh = work / "output"
            if not (fresh / runs.MANIFEST).exists():
                fresh.mkdir(parents=True, exist_ok=True)
                report = _carry_out(recipe, corpus, work, fresh, execution, words_per_shard)
                runs.write_json(fresh / REPORT, report)
                (fresh / RECIPE).write_text(
                    yaml.safe_dump(_written(recipe), sort_keys=False, allow_unicode=True, width=110), encoding="utf-8"
                )
                manifest = {
                    "tool": _TOOL,
                    "fingerprint": fingerprint,
                    "started": started,
                    "seconds": {"sample": round(time.perf_counter() - begun, 3)},
                    "energy": meter.read().told,
                    "executor": execution.kind,
                    "workers": execution.workers,
                    "recipe": content,
                    "tokenizer": {"name": tokenizer, "sha256": decisive[0]} if tokenizer else None,
                    "corpus": _origin(source),
                    "annotations": [_origin(path) | _asked(path) for path in labelled],
                    "before": energy.before(source, *labelled),
                    "versions": versions,
                    "machine": runs.machine(),
                    "inputs": inputs,
                    "outputs": [{"source": "sample"} | told for told in runs.describe_folder(fresh)],
                }
                runs.write_json(fresh / runs.MANIFEST, manifest)
            runs.publish(fresh, output)
            shutil.rmtree(work)
    except runs.RunError as error:
        raise SampleError(str(error)) from None
    except OSError as error:
        raise SampleError(f"{output} cannot be written: {error.strerror or error}; choose another folder") from None
    done = runs.read_manifest(output)
    assert done is not None
    return Sampled(output, _report(output), done, worked=True)


def _written(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a person would write it, every setting said."""
    content: dict[str, Any] = recipe.model_dump(mode="json", exclude_none=True)
    return content


def _report(output: Path) -> dict[str, Any]:
    report: dict[str, Any] = orjson.loads((output / REPORT).read_bytes())
    return report


def _inputs(source: Path, corpus: Corpus) -> list[dict[str, Any]]:
    found = _described("paragraphs", [file for files in corpus.tasks for file in files], source)
    for one in corpus.beside:
        kind = "articles" if one.path == "articles" else "annotations"
        files = dict.fromkeys(group.file for group in one.groups)
        found += _described(kind, list(files), source if kind == "articles" else Path(one.path))
    return found


def _described(kind: str, files: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    named = [
        InputFile(str(path), str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name,
                  path.stat().st_size)
        for path in files
    ]  # fmt: skip
    return [{"source": kind} | told for told in runs.describe_all(named)]


def _origin(folder: Path) -> dict[str, Any]:
    """What the manifest in a folder says of itself."""
    manifest = runs.read_manifest(folder) or {}
    return {"name": folder.name, "tool": manifest.get("tool"), "fingerprint": manifest.get("fingerprint")}


def _asked(folder: Path) -> dict[str, Any]:
    """Who answered what, as a table of annotations says itself."""
    table = labelling.read(folder)
    prompt = {"name": table.prompt.name, "version": table.prompt.version, "fingerprint": table.prompt.fingerprint}
    return {"prompt": prompt, "annotator": table.annotator._asdict()}


def _carry_out(
    recipe: Recipe, corpus: Corpus, work: Path, fresh: Path, execution: Execution, words_per_shard: int
) -> dict[str, Any]:
    sorted = tuple(in_order(one, work / "sorted" / str(number)) for number, one in enumerate(corpus.beside))
    corpus = replace(corpus, beside=sorted)
    job, tasks = Job(recipe, corpus, work), len(corpus.tasks)
    run_tasks("weigh", [Weigh(job)], tasks, work / "logs" / "weigh", execution)
    weighed = _Weighed.of(job)
    for one, found in zip(corpus.beside, weighed.found, strict=True):
        if not found and any(one.prefix + name in job.tallied for name in one.types):
            raise SampleError(f"{one.path}: not one paragraph of the corpus is there; is it about another corpus?")
    budgets = _budgets(recipe, weighed)

    def parts() -> Iterator[Units]:
        for rank in range(tasks):
            yield from units_of(job, rank)

    cuts = Cuts.none()
    if budgets is not None:
        cap = recipe.cap
        most = weighed.most * cap if cap else np.full(len(budgets), np.inf)
        cuts = draw.cuts(parts, budgets, weighed.mass, most, cap)
    size = float(weighed.mass.sum()) if budgets is None else float(budgets.sum())
    shards = max(1, int(np.ceil(size * weighed.tally.words / max(1, weighed.size) / words_per_shard)))
    run_tasks("deal", [Deal(job, cuts, shards)], tasks, work / "logs" / "deal", execution)
    run_tasks("write", [Write(job, fresh / "paragraphs")], shards, work / "logs" / "write", execution)
    opened.cache_clear()
    return _account(recipe, corpus, weighed, budgets, counted(job.dealt))


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What the first pass has counted, over the whole corpus; arrays are by stratum."""

    tally: Tally
    factors: dict[str, Spread]
    found: list[int]
    mass: Floats
    most: Floats
    seen: Floats
    highest: float | None
    size: int
    units: int

    @classmethod
    def of(cls, job: Job) -> _Weighed:
        told = counted(job.keys)
        tally, factors = Tally(), {name: Spread() for name in job.recipe.factors}
        for one in told:
            tally.merge(one["tally"])
            for name, spread in one["factors"].items():
                factors[name].merge(spread)
        found, mass, most, seen = (
            np.sum([one[name] for one in told], axis=0) for name in ("found", "mass", "most", "seen")
        )
        highest = [one["highest"] for one in told]
        return cls(
            tally, factors, found.tolist(), mass, most, seen, None if None in highest else max(highest),
            sum(one["size"] for one in told), sum(one["units"] for one in told),
        )  # fmt: skip


def _budgets(recipe: Recipe, weighed: _Weighed) -> Any:
    """Words or tokens of each stratum, None where there is no budget.

    Raises:
        RecipeError: the corpus does not have them.
    """
    budget, cap, unit = recipe.budget, recipe.cap, recipe.unit
    if weighed.highest is None:
        raise RecipeError("factors: some weight is too large for a number: raise `temperature`, or lower `exponent`")
    if weighed.mass.sum() <= 0:
        if unknown := _unknown(recipe, weighed.tally):
            raise RecipeError(f"nothing is selected: {unknown[0]}")
        zero = [f"`{name}` sets {told.zero:,} of {told.units:,} to 0" for name, told in weighed.factors.items()]
        raise RecipeError(
            f"nothing is selected: no {unit} has a weight above 0"
            + (f"; {', '.join(zero)}. Lower a threshold, or see what `missing` says" if zero else "")
        )
    if budget is None:
        if cap == 1 and weighed.highest > 1 + 1e-9:
            raise RecipeError(
                f"weights go up to {weighed.highest:g}, and nothing may come twice: add `replacement: true`, or a "
                "budget within which the weights decide"
            )
        return None
    total = budget.words or budget.tokens or max(1, round((budget.share or 0) * weighed.size))
    measure_name = "tokens" if budget.tokens else "words"
    targets = np.array([total], np.int64)
    if recipe.shares:
        targets = _targets(recipe, weighed, total)
    most = weighed.most * cap if cap else np.where(weighed.most > 0, np.inf, 0.0)
    for number in np.flatnonzero(targets > most):
        told = f"the budget is {targets[number]:,} {measure_name}"
        told += f" of {_stratum_name(recipe, int(number))}" if recipe.shares else ""
        times = f", each at most {cap} times" if cap and cap > 1 else ""
        mend = "raise `repetitions`" if recipe.replacement else "allow repetitions with `replacement: true`"
        raise RecipeError(
            f"{told}, and there are {int(weighed.most[number]):,} with a weight above 0{times}: lower the budget"
            f"{', change the shares,' if recipe.shares else ''} or {mend}"
        )
    return targets


def _unknown(recipe: Recipe, before: Tally) -> list[str]:
    """The factors that look at a field which is null in all paragraphs."""
    found = []
    for name, factor in recipe.factors.items():
        field = field_of(factor)
        if before.of.get(field, {}).keys() == {NONE}:
            stem, _, kind = field.rpartition("_")
            mend = "weigh by another field, or see what `missing` says"
            if field.startswith(ANNOTATION) and kind in ("expected", "entropy"):
                mend = f"these labels have no probabilities; use `{stem}`, or the labels of a student"
            found.append(f"factors.{name}: `{field}` is null in all {before.paragraphs:,} paragraphs: {mend}")
    return found


def _never(recipe: Recipe, before: Tally) -> list[str]:
    """The labels that a factor names and no paragraph has."""
    found = []
    for name, factor in recipe.factors.items():
        field = field_of(factor)
        there = [value for value in before.of[field] if value != NONE]
        for label in named_labels(factor):
            if there and label not in there:
                near = difflib.get_close_matches(label, there, n=1)
                mend = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(there)[:_NAMED])}"
                found.append(f"factors.{name}: no paragraph has {label!r} in `{field}`; {mend}")
    return found


def _targets(recipe: Recipe, weighed: _Weighed, total: int) -> Any:
    fields, named = list(recipe.shares), [list(shares.values()) for shares in recipe.shares.values()]
    try:
        shares = draw.rake(weighed.mass.reshape(shape(recipe)), named, fields).ravel()
    except draw.Unreachable as error:
        field, _, value = str(error).rpartition(":")
        if not field:
            raise RecipeError(
                f"shares: those of {' and '.join(fields)} cannot be met together; ask for one of them"
            ) from None
        if value == "-1":
            raise RecipeError(
                f"shares.{field}: they come to less than 1, and there is nothing else in the corpus"
            ) from None
        raise RecipeError(
            f"shares.{field}: no {recipe.unit} with a weight above 0 has {list(recipe.shares[field])[int(value)]!r}"
        ) from None
    # Rounded so that they add up, whatever the last digits of the sums.
    up_to = np.floor(np.round(np.cumsum(shares), 9) * total + 0.5).astype(np.int64)
    up_to[-1] = total
    return np.diff(up_to, prepend=0)


def _stratum_name(recipe: Recipe, number: int) -> str:
    places = np.unravel_index(number, shape(recipe))
    return ", ".join(
        f"{field} = {[*shares, 'any other'][int(place)]}"
        for (field, shares), place in zip(recipe.shares.items(), places, strict=True)
    )


def _account(
    recipe: Recipe, corpus: Corpus, weighed: _Weighed, budgets: Any, dealt: list[dict[str, Any]]
) -> dict[str, Any]:
    after = Tally()
    for one in dealt:
        after.merge(one["tally"])
    repetitions = merged(one["repetitions"] for one in dealt)
    before, size = weighed.tally, sum(one["size"] for one in dealt)
    if not after.paragraphs:
        raise RecipeError("nothing is selected: the budget is smaller than the first paragraph; raise it")
    measured = "tokens" if recipe.budget and recipe.budget.tokens else "words"
    tokens = measured == "tokens"
    return {
        "recipe": recipe.name,
        "unit": recipe.unit,
        "budget": None if budgets is None else {measured: int(budgets.sum())},
        "strata": [
            {"stratum": _stratum_name(recipe, number), measured: int(target)}
            for number, target in enumerate(budgets if recipe.shares else ())
        ],
        "units": {
            "before": weighed.units,
            "weighed": int(weighed.seen.sum()),
            "after": sum(units for times, units in repetitions.items() if times),
        },
        "paragraphs": {"before": before.paragraphs, "after": after.paragraphs},
        "words": {"before": before.words, "after": after.words},
        "tokens": {"before": weighed.size, "after": size} if tokens else None,
        "factors": {
            name: {"least": told.least, "mean": told.total / max(1, told.units), "most": told.most, "zero": told.zero}
            for name, told in weighed.factors.items()
        },
        "annotations": [
            {"name": Path(one.path).name, "fields": list(one.types), "paragraphs": found}
            for one, found in zip(corpus.beside, weighed.found, strict=True)
            if one.path != "articles"
        ],
        "repetitions": {str(times): units for times, units in repetitions.items()},
        "effective_sample_size": round(effective(repetitions), 3),
        "warnings": [*_unknown(recipe, before), *_never(recipe, before)],
        "by": comparison(before, after),
    }
