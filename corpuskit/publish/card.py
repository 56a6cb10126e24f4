"""The card of a data set: `README.md`, from the manifest and through a template, so that no figure is copied by hand.

Values come from strangers' files: every one that the template prints is escaped, unless it is a number or made here.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from corpuskit import identifiers
from corpuskit.dedup.near import NearOptions
from corpuskit.energy import GRID
from corpuskit.enrich.selection import Selection
from corpuskit.publish import log
from corpuskit.publish.licences import judge
from corpuskit.settings import folders

_CARD, _LICENCES = "dataset.md.j2", '# Licences of {{ title }}\n\n{% include "licences.md.j2" %}'
#: A language is named in the metadata from this share of the words on.
_LANGUAGE = 0.01
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
          (10**8, "10M<n<100M"), (10**9, "100M<n<1B"),
          (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T")]  # fmt: skip
#: What the Hub takes as `license`, of the licences that let a text be passed on.
HUB_LICENCES = {
    *(f"cc-by-{version}" for version in ("2.0", "2.5", "3.0", "4.0")),
    *(f"cc-by-sa-{version}" for version in ("3.0", "4.0")),
    *(f"cc-by-nc-{version}" for version in ("2.0", "3.0", "4.0")),
    *(f"cc-by-nc-sa-{version}" for version in ("2.0", "3.0", "4.0")),
    "cc0-1.0", "etalab-2.0", "mit", "apache-2.0", "pddl", "odbl", "odc-by", "gfdl",
}  # fmt: skip
#: What it calls some of them.
_HUB_NAMES = {"pddl-1.0": "pddl", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by"} | dict.fromkeys(
    ["gfdl-1.2-or-later", "gfdl-1.3-only", "gfdl-1.3-or-later"], "gfdl"
)
#: Characters that turn the direction of a line, or cannot be seen.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
#: What Markdown reads as more than text; an underscore within a word is none of it.
_ENTITIES = re.compile(r"[&<>|@$\\`*~\[\]]|(?<![^\W_])_|_(?![^\W_])|://|(?i:(?<=www)\.)")
_FENCE = re.compile(r"^\s*(~{3,}|`{3,})", re.MULTILINE)
#: What LaTeX reads as more than text.
_LATEX = str.maketrans(
    {"{": "", "}": "", "\\": "", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {one: f"\\{one}" for one in "&%$#_"}
)


class Made(str):
    """Markdown that was made here, and is printed as it is."""


def seen(text: str) -> str:
    """A text with what cannot be seen written out: a right-to-left mark as `[U+200F]`."""
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def escape(value: Any) -> str:
    """A value as Markdown that shows it as it is, on one line, whatever it holds; null as a dash."""
    if isinstance(value, Made):
        return value
    if value is None:
        return "–"
    text = seen(" ".join(str(value).split()))
    return _ENTITIES.sub(lambda found: "".join(f"&#{ord(one)};" for one in found[0][:1]) + found[0][1:], text)


def fenced(text: str, language: str) -> Made:
    """A block of code that no line of the text can end."""
    longest = max((len(found[1]) for found in _FENCE.finditer(text)), default=2)
    fence = "~" * max(3, longest + 1)
    lines = "\n".join(map(seen, text.strip("\n").splitlines()))
    return Made(f"{fence}{language}\n{lines}\n{fence}")


def pages(told: Mapping[str, Any], recipes: Mapping[str, str]) -> dict[str, str]:
    """The card and the licences, by the name of their file.

    Args:
        told: the manifest of the publication, without its outputs.
        recipes: the text of the recipe of each sample.
    """
    environment = templates()
    found = {"README.md": environment.get_template(_CARD), "LICENSE.md": environment.from_string(_LICENCES)}
    values = _values(told, recipes)
    return {name: rendered(template, values) for name, template in found.items()}


def templates() -> Environment:
    """Where cards come from: whatever a template prints is escaped, unless it was made here."""
    environment = Environment(
        loader=FileSystemLoader(folders("data_cards", "data_cards")),
        undefined=StrictUndefined,
        finalize=escape,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "n": lambda number: Made("–" if number is None else f"{number:,}"),
        "percent": lambda share: Made("–" if share is None else f"{share:.2%}"),
        "short": lambda number: Made("–" if number is None else f"{number:,.3g}"),
        "loss": lambda number: Made("–" if number is None else f"{number:.4f}"),
        "literal": lambda text: Made('"' + re.sub(r"[^\w./-]", "-", text) + '"'),
        "fenced": fenced,
    }
    return environment


def rendered(template: Template, values: Mapping[str, Any]) -> str:
    """A page of Markdown, without the empty lines that a template leaves."""
    return re.sub(r"\n{3,}", "\n\n", template.render(values)).strip("\n") + "\n"


def metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter, in the terms of the Hub."""
    paragraphs = told["configurations"]["paragraphs"]
    annotators = {one["annotator"]["kind"] for one in told["stages"]["annotations"]}
    created = [name for kind, name in (("person", "other"), ("model", "machine-generated")) if kind in annotators]
    if "student" in annotators and "machine-generated" not in created:
        created.append("machine-generated")
    published = sorted({row["licence"] for row in paragraphs["counts"] if row["withheld"] is None})
    one = identifiers.licence(published[0]).lower() if len(published) == 1 else ""
    one = _HUB_NAMES.get(one, one)
    withheld = any(row["withheld"] for row in paragraphs["counts"])
    if one in HUB_LICENCES and not withheld:
        licence = {"license": one}
    else:
        licence = {"license": "other", "license_name": "by-document", "license_link": "LICENSE.md"}
    configurations = [
        {
            "config_name": name,
            **({"default": True} if name == "paragraphs" else {}),
            "data_files": [
                {"split": split, "path": f"data/{name}/{split}-*.parquet"} for split in configuration["splits"]
            ],
        }
        for name, configuration in told["configurations"].items()
        if configuration["splits"]
    ]
    rows = sum(split["rows"] for split in paragraphs["splits"].values())
    return {
        "pretty_name": seen(" ".join(told["publication"]["name"].split())),
        "language": languages(told) or ["fr"],
        **licence,
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), "n>1T")],
        "task_categories": ["fill-mask", "text-generation"] + (["text-classification"] if annotators else []),
        "source_datasets": ["original"],
        "annotations_creators": created or ["no-annotation"],
        "tags": ["biology", "medical", "biomedical", "corpuskit"],
        "configs": configurations,
    }


def languages(told: Mapping[str, Any]) -> list[str]:
    """The codes of the languages that are more than a trace, the first the most frequent."""
    words = Counter[str]()
    for row in told["configurations"]["paragraphs"]["counts"]:
        words[row["language"] or ""] += row["words"] or row["rows"]
    total = words.total()
    return [
        code for code, number in words.most_common() if number >= _LANGUAGE * total and re.fullmatch("[a-z]{2}", code)
    ]


def _values(told: Mapping[str, Any], recipes: Mapping[str, str]) -> dict[str, Any]:
    stages, publication = told["stages"], told["publication"]
    build, funnel = stages["build"], stages["funnel"]
    configurations = told["configurations"]
    counts = configurations["paragraphs"]["counts"]
    words = sum(row["words"] for row in counts)
    by_language = _grouped(counts, "language")
    total = {name: _total(one) for name, one in configurations.items()}
    masked = (((build or {}).get("config") or {}).get("clean") or {}).get("mask") or {}
    return {
        "front": Made(f"---\n{_yaml(metadata(told))}---\n"),
        "title": publication["name"],
        "repository": publication["url"].removeprefix("https://huggingface.co/datasets/") or "PATH-OF-THIS-FOLDER",
        "version": told["versions"]["corpuskit-fr"],
        "date": told["started"][:10],
        "described": {
            "paragraphs": total["paragraphs"]["rows"],
            "words": words,
            "articles": total["articles"]["rows"] if "articles" in total else 0,
        },
        "configurations": [
            {"name": name, "unit": _unit(one, stages["samples"].get(name)), "split": split, "with_text": None, **found}
            for name, one in configurations.items()
            for split, found in one["splits"].items()
        ],
        "build": {"date": build["started"][:10], "version": build["versions"]["corpuskit-fr"]} if build else None,
        "sources": _sources(build, funnel, configurations.get("articles", {}).get("years", {})),
        "funnel": _funnel(funnel),
        "quarantined": sum((funnel or {}).get("quarantined", {}).values()),
        "licences": _licences(counts),
        "stated": sorted(publication["licences"].items()),
        "languages": [
            {"language": name or "undetermined", **found, "share": found["words"] / words if words else 0.0}
            for (name,), found in sorted(by_language.items(), key=lambda item: -item[1]["words"])
        ],
        "english": by_language.get(("en",), {"words": 0})["words"] / words if words else 0.0,
        "annotations": [
            _annotation(one, told["annotated"][place], stages["agreement"])
            for place, one in enumerate(stages["annotations"])
        ],
        "agreement": _agreement(stages["agreement"]),
        "student": _student(stages["student"]),
        "samples": [_sample(name, one, total[name], recipes.get(name, "")) for name, one in stages["samples"].items()],
        "contamination": [{"name": name} | found for name, found in ((build or {}).get("contamination") or {}).items()],
        "splits": _splits(told["splits"]),
        "energy": _energy(told),
        "near": _criterion(told["splits"]["near_duplicates_dropped"]),
        "masked": ", ".join(masked.get("kinds") or ()),
        "unmasked": build is not None and not masked.get("kinds"),
        "withheld": sorted(
            ({"why": why, "rows": found["rows"]} for (why,), found in _grouped(counts, "withheld").items() if why),
            key=lambda row: (-row["rows"], row["why"]),
        ),
        "labelled": any(one["annotator"]["kind"] != "person" for one in stages["annotations"]),
        "contact": publication["contact"],
        "removed": (told["removed"] or {}).get("articles", 0),
        "bibtex": bibtex(told),
        "commands": _commands(told),
        "fingerprint": Made(told["fingerprint"]),
    }


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def _grouped(counts: Iterable[Mapping[str, Any]], *by: str) -> dict[tuple[Any, ...], dict[str, int]]:
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in counts:
        cell = found.setdefault(tuple(row[name] for name in by), {"rows": 0, "words": 0})
        for name in cell:
            cell[name] += row[name]
    return found


def _unit(configuration: Mapping[str, Any], sample: Mapping[str, Any] | None) -> str:
    """What a row is, and what was drawn where that is another thing."""
    unit: str = configuration["unit"].removesuffix("s")
    drawn = (((sample or {}).get("manifest") or {}).get("recipe") or {}).get("unit", unit)
    return unit if drawn == unit else f"{unit}, of whole {drawn}s"


def _total(configuration: Mapping[str, Any]) -> dict[str, int]:
    splits = configuration["splits"].values()
    return {name: sum(split[name] for split in splits) for name in ("rows", "words")}


def _sources(
    build: Mapping[str, Any] | None, funnel: Mapping[str, Any] | None, years: Mapping[str, list[int]]
) -> list[dict[str, Any]]:
    files = Counter(one["source"] for one in (build or {}).get("inputs", ()))
    readers: dict[str, dict[str, None]] = {}
    for one in ((build or {}).get("config") or {}).get("sources", ()):
        readers.setdefault(one.get("name") or one["type"], {})[one["type"]] = None
    found = []
    for source, read in ((funnel or {}).get("read") or {}).items():
        kept = funnel["kept"].get(source, {"articles": 0, "paragraphs": 0, "words": 0}) if funnel else {}
        span = years.get(source)
        english = funnel["languages"].get(source, {}).get("en", {}) if funnel else {}
        found.append(
            {
                "source": source,
                "reader": ", ".join(readers.get(source, ())) or None,
                "files": files[source],
                "dates": " to ".join(dict.fromkeys(((build or {}).get("dates") or {}).get(source) or ())) or None,
                "articles_read": read["articles"],
                "paragraphs_read": read["paragraphs"],
                **kept,
                "years": None if span is None else f"{span[0]}–{span[1]}",
                "english": english.get("share_of_words", 0.0),
            }
        )
    return found


def _funnel(funnel: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    found = []
    for stage in (funnel or {}).get("stages", ()):
        reasons = Counter[str]()
        for row in funnel["dropped"] if funnel else ():
            if row["stage"] == stage["stage"]:
                reasons[f"{row['reason']} ({row['unit']}s)"] += row["count"]
        told = ", ".join(f"{reason} {number:,}" for reason, number in reasons.most_common())
        found.append({name: stage[name] for name in ("stage", "articles", "paragraphs", "words")} | {"reasons": told})
    return found


def _licences(counts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for (source, licence, withheld), cell in _grouped(counts, "source", "licence", "withheld").items():
        text = f"withheld: {withheld}" if withheld else "published"
        found.append({"source": source, "licence": licence, "terms": judge(licence).terms, "text": text, **cell})
    return sorted(found, key=lambda row: (str(row["source"]), -row["rows"], str(row["licence"])))


def _annotation(
    one: Mapping[str, Any], counted: Mapping[str, Any], agreement: Mapping[str, Any] | None
) -> dict[str, Any]:
    prompt, annotator = one["prompt"], one["annotator"]
    kind = {"model": "A language model", "person": "A person", "student": "A student model"}[annotator["kind"]]
    revision = f", revision {annotator['revision']}" if annotator["revision"] else ""
    fields = []
    for name, field in prompt["fields"].items():
        answers = ", ".join(f"{answer}: {number:,}" for answer, number in counted["answers"][name].items())
        fields.append({"name": one["prefix"] + name, "definition": field.get("definition"), "answers": answers})
    outcomes = ", ".join(f"{name} {number:,}" for name, number in counted["outcomes"].items())
    return {
        "name": one["name"],
        "who": f"{kind}: {annotator['name']}{revision}",
        "prompt": f"{prompt['name']}, version {prompt['version']}",
        "description": prompt.get("description"),
        "rows": counted["rows"],
        "published": counted["published"],
        "outcomes": outcomes,
        "fields": fields,
        "unchecked": annotator["kind"] != "person" and agreement is None,
    }


def _agreement(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    rows = []

    def add(field: str, raters: Iterable[str], paragraphs: int, measure: str, figure: Mapping[str, Any] | None) -> None:
        if not figure or figure.get("value") is None:
            return
        value = f"{figure['value']:.3f}"
        if figure.get("low") is not None and figure.get("high") is not None:
            value += f" ({figure['low']:.3f} to {figure['high']:.3f})"
        rows.append({"field": field, "raters": "–".join(raters), "paragraphs": paragraphs, "measure": measure,
                     "value": value})  # fmt: skip

    for name, field in told["fields"].items():
        for measure, figure in field["alpha"].items():
            add(name, field["raters"], field["paragraphs"], f"Krippendorff's α, {measure}", figure)
        for pair in field["pairs"]:
            for measure, figure in pair["figures"].items():
                if not measure.startswith("alpha"):
                    add(name, pair["raters"], pair["paragraphs"], measure, figure)
    raters = "; ".join(
        f"{one['letter']}: {one['kind']} {one['name']} ({one['answered']:,} of {one['asked']:,} answered)"
        for one in told["raters"]
    )
    how = "count paragraphs by their sampling weights" if told["weighted"] else "are of the sample that both answered"
    return {"raters": raters, "how": how, "resamples": told["resamples"], "rows": rows}


def _student(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    report = told["report"]
    names = ("accuracy", "macro_f1", "pearson", "mae", "ece")
    rows = [
        {"name": name, "n": found.get("n")}
        | {one: None if found.get(one) is None else f"{found[one]:.3f}" for one in names}
        for name, found in report["fields"].items()
    ]
    teacher = " ".join(filter(None, (report["teacher"].get(name) for name in ("kind", "name", "revision"))))
    return {
        "name": report["student"],
        "teacher": teacher,
        "paragraphs": report["split"]["test"]["paragraphs"],
        "rows": rows,
    }


def _sample(name: str, one: Mapping[str, Any], total: Mapping[str, int], recipe: str) -> dict[str, Any]:
    sample, told = one["sample"] or {}, []
    for unit in ("paragraphs", "words", "tokens"):
        if counts := sample.get(unit):
            told.append(f"{counts['after']:,} {unit} drawn from {counts['before']:,}")
    if (repetitions := sample.get("repetitions")) and len(repetitions) > 1:
        told.append("times drawn: " + ", ".join(f"{times}× {number:,}" for times, number in repetitions.items()))
    if (size := sample.get("effective_sample_size")) is not None:
        told.append(f"effective sample size {size:,}")
    return {"name": name, **total, "drawn": "; ".join(told), "recipe": recipe}


def _criterion(near: Mapping[str, Any] | None) -> str:
    """When two texts were near-duplicates for the build, "" where it dropped none."""
    if near is None:
        return ""
    return f"{100 * near['threshold']:g} % of the {near['ngram']}-grams of words are equal and the numbers agree"


def _splits(told: Mapping[str, Any]) -> dict[str, str]:
    shares = " / ".join(f"{share:g}" for share in told["shares"])
    near, linking = told["near_duplicates_dropped"], NearOptions()
    text, compared = "Articles of one cluster of near-duplicates are in one split. ", []
    if near:
        text += f"Of articles, and of paragraphs, of which {_criterion(near)}, the build kept one. "
        compared.append(near["min_words"])
    if told["linked"]:
        missed = (1 - linking.threshold**linking.hashes_per_bucket) ** linking.buckets
        text += (
            f"Articles whose texts or paragraphs meet in a bucket of MinHash ({linking.buckets} buckets of "
            f"{linking.hashes_per_bucket} hashes of {linking.ngram}-grams: with a probability of {1 - missed:.3f} at a "
            f"similarity of {linking.threshold:g}) are in one split as well; "
            f"the largest group holds {told['largest_group']:,} articles. "
        )
        compared.append(linking.min_words)
    if compared:
        text += f"Texts under {min(compared)} words, and texts that are less alike, may stand in two."
    else:
        text += "Near-duplicates were neither dropped nor looked for: there may be some in two splits."
    return {"shares": shares, "near": text}


def _energy(publication: Mapping[str, Any]) -> list[dict[str, Any]]:
    found, stages = [], publication["stages"]

    def add(step: str, told: Mapping[str, Any]) -> None:
        """A row from what a stage says of itself: a server's work is counted another way than a stage's own."""
        work = told["work"] if isinstance(told.get("work"), dict) else {}
        energy = told.get("energy") or {"kwh": work.get("energy_kwh"), "how": "; ".join(work.get("energy_from") or ())}
        seconds, kwh, how = log.seconds(told), energy["kwh"], energy["how"] or "not measured"
        grid = work.get("grid_g_per_kwh", GRID)
        grams = work.get("co2e_g", None if kwh is None else kwh * grid)
        found.append(
            {
                "step": step,
                "time": "unknown" if seconds is None else f"{seconds:,.0f} s",
                "energy": "unknown" if kwh is None else f"{kwh:.6g} kWh",
                "co2e": "unknown" if grams is None else f"{grams:.4g} g",
                "how": how if grams is None else f"{how}; {grid:g} g CO2e/kWh",
            }
        )

    add("build", stages["build"] or {})
    for one in stages["annotations"]:
        add(f"annotations {one['name']}", one["report"] or {})
    if stages["student"]:
        add("training of the student", stages["student"]["report"])
    for name, one in stages["samples"].items():
        add(f"sample {name}", one["manifest"] or {})
    add("publishing", publication)
    return found


def bibtex(told: Mapping[str, Any]) -> str:
    publication = told["publication"]

    def field(value: str) -> str:
        return " ".join(value.split()).translate(_LATEX)

    plain = unicodedata.normalize("NFKD", publication["name"]).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "corpus"
    lines = [f"@misc{{{key},", f"  title = {{{field(publication['name'])}}},"]
    if publication["authors"]:
        lines.append(f"  author = {{{' and '.join(map(field, publication['authors']))}}},")
    lines.append(f"  year = {{{told['started'][:4]}}},")
    if publication["url"]:
        url = re.sub(r"[{}\\\s]", "", publication["url"])
        lines.append(f"  howpublished = {{\\url{{{url}}}}},")
    lines.append(f"  note = {{Version {told['fingerprint'][:12]}}},")
    return "\n".join([*lines, "}"])


def _commands(told: Mapping[str, Any]) -> str:
    """What is to be typed beside this folder's files and their sources; other files are named as they are called."""
    stages, publication, lines = told["stages"], told["publication"], []
    if stages["build"]:
        lines.append("corpuskit build build.yaml --output corpus")
    arguments: list[str] = []
    for one in stages["annotations"]:
        lines += _labelling(one)
        prefix = "" if one["prefix"] == "annotation_" else f"{one['prefix'][:-1]}="
        arguments += ["--annotations", prefix + one["name"]]
    for name, one in stages["samples"].items():
        drawn = ["corpuskit", "sample", f"recipes/{name}.yaml", "--from", "corpus"]
        for asked in (one["manifest"] or {}).get("annotations") or ():
            drawn += ["--annotations", _folder(asked, stages["annotations"])]
        lines.append(_line(*drawn, "--output", name))
        arguments += ["--sample", name]
    if stages["agreement"]:
        arguments += ["--agreement", "agreement.json"]
    if stages["student"]:
        arguments += ["--student", stages["student"]["report"]["student"]]
    for source, licence in sorted(publication["licences"].items()):
        arguments += ["--licence", f"{source}={licence}"]
    if told["removed"]:
        arguments += ["--without", "removed.txt"]
    arguments += ["--splits", "/".join(f"{share:g}" for share in told["splits"]["shares"])]
    if publication["link"] is not None:
        arguments.append("--link" if publication["link"] else "--no-link")
    arguments += ["--name", publication["name"]]
    for author in publication["authors"]:
        arguments += ["--author", author]
    if publication["contact"]:
        arguments += ["--contact", publication["contact"]]
    lines.append(_line("corpuskit", "publish", "corpus", *arguments, "--output", "published"))
    return "\n".join(lines)


def _labelling(one: Mapping[str, Any]) -> list[str]:
    """The command that gave annotations, none where it was no command."""
    report, who, revision = one["report"] or {}, one["annotator"]["name"], one["annotator"]["revision"]
    if report.get("tool") == "corpuskit label":
        return [_line("corpuskit", "label", "corpus", "--student", who, "--output", one["name"])]
    if report.get("tool") != "corpuskit enrich":
        return []
    asked = ["--prompt", f"prompts/{one['name']}.md", "--endpoint", "http://localhost:8000/v1", "--model", who]
    asked += ["--revision", revision] if revision else []
    chosen = (report.get("paragraphs") or {}).get("selection") or {}
    for option, name in (("--share", "share"), ("--sample-seed", "seed"), ("--min-words", "min_words"),
                         ("--limit", "limit")):  # fmt: skip
        if chosen.get(name) not in (None, Selection.model_fields[name].default):
            asked += [option, f"{chosen[name]:g}"]
    return [_line("corpuskit", "enrich", "corpus", *asked, "--output", one["name"])]


def _folder(asked: Mapping[str, Any], published: Iterable[Mapping[str, Any]]) -> str:
    """What the annotations of a sample are called here: by their own name where they are not published."""
    for one in published:
        prompt = {name: one["prompt"][name] for name in ("name", "version")}
        if asked.get("annotator") == one["annotator"] and prompt.items() <= (asked.get("prompt") or {}).items():
            return str(one["name"])
    return str(asked["name"])


def _line(*words: str) -> str:
    """A line for a shell: whatever a word holds, it is one."""
    return shlex.join(" ".join(word.split()) for word in words)
