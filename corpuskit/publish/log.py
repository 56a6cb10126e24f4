"""What was done to make a data set: a line a stage, in their order, from the manifests of the stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LOG = "log.jsonl"


def lines(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The stages that led to a publication, and itself; null is what a stage does not say.

    Args:
        told: the manifest of the publication.
    """
    stages = told["stages"]
    if build := stages["build"]:
        yield _line("build", "", build, _built(stages["funnel"]))
    by_student = [one for one in stages["annotations"] if one["annotator"]["kind"] == "student"]
    others = [one for one in stages["annotations"] if one not in by_student]
    yield from (_annotated(one) for one in others)
    if student := stages["student"]:
        split = student["report"]["split"]
        counts = {part: of["paragraphs"] for part, of in split.items()}
        told_of = student["report"] | {"fingerprint": student["fingerprint"]}
        yield _line("student", student["report"]["student"], told_of, counts)
    yield from (_annotated(one) for one in by_student)
    for name, one in stages["samples"].items():
        units = ("paragraphs", "words", "tokens")
        counts = {unit: one["sample"][unit] for unit in units if (one["sample"] or {}).get(unit)}
        yield _line("sample", name, one["manifest"] or {}, counts)
    rows = {
        name: {split: found["rows"] for split, found in one["splits"].items()}
        for name, one in told["configurations"].items()
    }
    yield _line("publish", "", told, rows)


def seconds(told: Mapping[str, Any]) -> float | None:
    """How long a stage took, however it says so."""
    work = told["work"] if isinstance(told.get("work"), dict) else {}
    found = told.get("seconds", work.get("seconds"))
    return sum(found.values()) if isinstance(found, dict) else found


def _line(stage: str, name: str, told: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    said = ("tool", "fingerprint", "started", "executor", "workers", "machine", "versions")
    found = {"stage": stage, "name": name} | {one: told.get(one) for one in said}
    found["started"] = found["started"] or told.get("written")
    return found | {"seconds": seconds(told), "counts": counts}


def _annotated(one: Mapping[str, Any]) -> dict[str, Any]:
    report = one["report"] or {}
    return _line("annotations", one["name"], report, report.get("outcomes") or {})


def _built(funnel: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a build read, kept and could not read, over all sources."""
    if not funnel:
        return {}
    found: dict[str, Any] = {}
    for what, units in (("read", ("articles", "paragraphs")), ("kept", ("articles", "paragraphs", "words"))):
        found[what] = {unit: sum(of[unit] for of in funnel[what].values()) for unit in units}
    return found | {"quarantined": sum(funnel["quarantined"].values())}
