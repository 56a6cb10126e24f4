"""The accounts of a run: what was read, what is left after each stage, and why the rest is not.

Everything is a count over the tables that were written; :func:`balance` holds it against what the
readers counted themselves.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import orjson
from rich.box import SIMPLE_HEAD
from rich.table import Table

from corpuskit.sql import parquet

#: The stages in the order of the data.
STAGES = [
    "select",
    "kind",
    "encoding",
    "mask",
    "language",
    "ocr",
    "quality",
    "repetition",
    "gopher",
    "contamination",
    "join",
    "boilerplate",
    "duplicate",
    "near",
    "empty",
]


class Unbalanced(Exception):
    """What was read is not what was kept, dropped and quarantined: a fault of the program."""


def funnel(output: Path, read: dict[str, dict[str, int]], work: Path) -> dict[str, Any]:
    """Count the finished tables.

    Args:
        output: folder with ``articles/``, ``paragraphs/``, ``dropped/`` and ``quarantine/``.
        read: by source, the ``articles``, ``paragraphs`` and ``quarantined`` that the readers counted.
        work: folder of the parts, for the shares by language and what the formats declare not to be prose.

    Raises:
        Unbalanced: read is not kept + dropped + quarantined.
    """
    with duckdb.connect() as db:
        kept = db.execute(
            f"""
            SELECT source, count(*), 0, 0 FROM {_files(output / "articles")} GROUP BY ALL
            UNION ALL
            SELECT source, 0, count(*), sum(words) FROM {_files(output / "paragraphs")} GROUP BY ALL
            """
        ).fetchall()
        dropped = db.execute(
            f"""
            SELECT unit, source, stage, reason, count(*) AS count, coalesce(sum(words), 0)::BIGINT AS words
            FROM {_files(output / "dropped")} GROUP BY ALL ORDER BY unit, source, stage, count DESC, reason
            """
        ).fetchall()
        languages = db.execute(
            f"""
            SELECT source, coalesce(p.language, 'undetermined') AS language, count(*), sum(words)
            FROM {_files(work / "paragraphs")} p JOIN {_files(work / "articles")} a USING (key)
            WHERE p.language_score > 0 GROUP BY ALL ORDER BY source, sum(words) DESC, language
            """
        ).fetchall()
        skipped = db.execute(
            f"SELECT source, skipped FROM {_files(work / 'articles')} WHERE skipped IS NOT NULL"
        ).fetchall()
    report = {
        "read": read,
        "kept": _kept(kept),
        "quarantined": dict(sorted(_quarantined(output).items())),
        "dropped": [
            dict(zip(("unit", "source", "stage", "reason", "count", "words"), row, strict=True)) for row in dropped
        ],
        "languages": _shares(languages),
        "not_prose": _not_prose(skipped),
    }
    report["stages"] = _stages(report)
    balance(report)
    return report


def _files(folder: Path) -> str:
    return parquet(sorted(folder.glob("*.parquet")))


def _kept(rows: list[tuple[str, int, int, int]]) -> dict[str, dict[str, int]]:
    kept: dict[str, dict[str, int]] = {}
    for source, articles, paragraphs, words in sorted(rows):
        counts = kept.setdefault(source, {"articles": 0, "paragraphs": 0, "words": 0})
        counts["articles"] += articles
        counts["paragraphs"] += paragraphs
        counts["words"] += int(words)
    return kept


def _quarantined(output: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in sorted((output / "quarantine").glob("*.jsonl")):
        with open(path, "rb") as lines:
            counts.update(orjson.loads(line)["source"] for line in lines)
    return counts


def _shares(rows: list[tuple[str, str, int, int]]) -> dict[str, dict[str, dict[str, float]]]:
    shares: dict[str, dict[str, dict[str, float]]] = {}
    total: Counter[str] = Counter()
    for source, _, _, words in rows:
        total[source] += int(words)
    for source, language, paragraphs, words in rows:
        share = int(words) / total[source] if total[source] else 0.0
        shares.setdefault(source, {})[language] = {
            "paragraphs": paragraphs,
            "words": int(words),
            "share_of_words": round(share, 6),
        }
    return shares


def _not_prose(rows: list[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for source, skipped in rows:
        counts.setdefault(source, Counter()).update(orjson.loads(skipped))
    return {source: dict(sorted(counts[source].items())) for source in sorted(counts)}


def _stages(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What is left after reading and after each stage, in all and by source."""
    left: dict[str, Counter[str]] = {}
    for source, counts in report["read"].items():
        left[source] = Counter(articles=counts["articles"], paragraphs=counts["paragraphs"], words=0)
    for source, counts in report["kept"].items():
        left.setdefault(source, Counter())["words"] += counts["words"]
    for row in report["dropped"]:
        left.setdefault(row["source"], Counter())["words"] += row["words"]

    def snapshot(stage: str) -> dict[str, Any]:
        by_source = {source: dict(counts) for source, counts in left.items()}
        total = {name: sum(counts[name] for counts in left.values()) for name in ("articles", "paragraphs", "words")}
        return {"stage": stage} | total | {"by_source": by_source}

    stages = [snapshot("read")]
    seen = {row["stage"] for row in report["dropped"]}
    for stage in [name for name in STAGES if name in seen] + sorted(seen - set(STAGES)):
        for row in report["dropped"]:
            if row["stage"] == stage:
                left[row["source"]][row["unit"] + "s"] -= row["count"]
                left[row["source"]]["words"] -= row["words"]
        stages.append(snapshot(stage))
    return stages


def balance(report: dict[str, Any]) -> None:
    """Check that nothing vanished: read = kept + dropped + quarantined, by source.

    Raises:
        Unbalanced: naming the source, the unit and the three numbers.
    """
    gone: Counter[tuple[str, str]] = Counter()
    for row in report["dropped"]:
        gone[row["source"], row["unit"] + "s"] += row["count"]
    for source, read in report["read"].items():
        kept = report["kept"].get(source, {})
        for unit in ("articles", "paragraphs"):
            found = kept.get(unit, 0) + gone[source, unit]
            if read[unit] != found:
                raise Unbalanced(
                    f"{source}: {read[unit]} {unit} were read, but {kept.get(unit, 0)} were kept and "
                    f"{gone[source, unit]} dropped; this is a fault of corpuskit, please report it"
                )
        if read["quarantined"] != report["quarantined"].get(source, 0):
            raise Unbalanced(
                f"{source}: {read['quarantined']} inputs could not be read, but "
                f"{report['quarantined'].get(source, 0)} are in quarantine; this is a fault of corpuskit, "
                "please report it"
            )


def stage_table(report: dict[str, Any]) -> Table:
    """What is left after each stage, and what it dropped."""
    table = Table(title="What is left after each stage", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for name in ("articles", "paragraphs", "words"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("dropped here, by reason", overflow="fold")
    for stage in report["stages"]:
        reasons: Counter[str] = Counter()
        for row in report["dropped"]:
            if row["stage"] == stage["stage"] and row["unit"] == _judged(stage["stage"], row["reason"]):
                reasons[row["reason"]] += row["count"]
        described = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
        table.add_row(stage["stage"], *(f"{stage[name]:,}" for name in ("articles", "paragraphs", "words")), described)
    return table


def _judged(stage: str, reason: str) -> str:
    return "article" if stage in ("select", "gopher", "join", "empty") or reason == "near_article" else "paragraph"


def source_table(report: dict[str, Any]) -> Table:
    """What was read and kept of each source, and its share of English."""
    table = Table(title="By source", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("source", no_wrap=True)
    heads = [
        "articles\nread",
        "\nkept",
        "in quar-\nantine",
        "paragraphs\nread",
        "\nkept",
        "words\nkept",
        "English\nread",
    ]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for source, read in report["read"].items():
        kept = report["kept"].get(source, {"articles": 0, "paragraphs": 0, "words": 0})
        english = report["languages"].get(source, {}).get("en", {}).get("share_of_words", 0.0)
        counts = [read["articles"], kept["articles"], read["quarantined"], read["paragraphs"], kept["paragraphs"],
                  kept["words"]]  # fmt: skip
        table.add_row(source, *(f"{count:,}" for count in counts), f"{english:.1%}")
    return table
