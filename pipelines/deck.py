"""The whole story on the samples that come along: from exports of archives to a table of models, in some minutes.

    python pipelines/deck.py --output deck

    corpus → enrich → sample → publish → report → tokenizer → pretrain → evaluate → tables

Two small models learn from the same number of words: drawn at random, and drawn by a recipe that prefers clinical
cases. Both are then fine-tuned on tasks that come along, beside a dictionary that knows nothing but their training
data. Everything is far too small for the figures to say anything about recipes.

To enrich takes a language model: a server (--endpoint URL --model NAME), or the tiny one for demonstrations
(--serve demo, once installed by `python -m corpuskit.enrich.demo_model`). Then the recipe weighs the answers too;
without one this step is left out.

Every stage knows what it has done: the same command goes on where it was stopped, and does nothing a second time.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

import corpuskit
from corpuskit import config
from corpuskit.build import BuildError, build
from corpuskit.energy import Meter
from corpuskit.enrich import demo_model, prompts
from corpuskit.enrich.ask import Asking
from corpuskit.enrich.run import EnrichError, Sending, enrich
from corpuskit.enrich.selection import Selection
from corpuskit.enrich.server import ServerError, serve
from corpuskit.evaluate import compare, leaderboard, protocol, tasks
from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.run import evaluate
from corpuskit.evaluate.systems.opening import DICTIONARY, open_system
from corpuskit.executors import Execution, TaskFailed
from corpuskit.pretrain import config as pretraining
from corpuskit.pretrain.run import PretrainError, pretrain
from corpuskit.pretrain.tokenizer import train as learn_tokenizer
from corpuskit.publish.dataset import Publication, PublishError, publish
from corpuskit.publish.splits import Shares
from corpuskit.report.evaluation import evaluation as evaluation_page
from corpuskit.report.page import ReportError
from corpuskit.report.run import report
from corpuskit.sample import recipe as recipes
from corpuskit.sample.run import sample

SAMPLES = Path(corpuskit.__file__).parent / "samples"
WORKERS = 2

#: Both samples hold as many words.
RANDOM = recipes.load("biomed-fr-small", name="random", budget={"share": 0.5})
CASES: dict[str, Any] = {
    "name": "cases",
    "description": "paragraphs of clinical cases five times as often, half as many words as there are",
    "replacement": True,
    "repetitions": 5,
    "budget": {"share": 0.5},
    "factors": {
        "case": {
            "type": "map",
            "field": "document_type",
            "weights": {"case-report": 5, "Case Reports": 5},
            "missing": 1,
        }
    },
}
#: What the recipe looks at besides, where there are answers: a paragraph that nobody was asked about counts as a 2.
QUALITY = {
    "type": "temperature",
    "field": "annotation.educational_quality",
    "temperature": 2,
    "reference": 2,
    "missing": 1,
}
PROMPT = "biomed-enriched-fr"
#: The file that a stage writes last.
LAST = ("manifest.json", "enrichment.json")
TASKS = ("demo-ner", "demo-labels", "demo-choice")
#: What ends a stage with a message for people.
TOLD = (BuildError, EnrichError, OSError, PretrainError, PublishError, ReportError, ServerError, TaskError, TaskFailed,
        config.ConfigError, recipes.SampleError)  # fmt: skip


class Deck:
    """Stages in turn, a line each; what comes after something new is made anew.

    Attributes:
        output: the folder of it all.
        new: whether a stage has done anything yet.
    """

    def __init__(self, output: Path, overwrite: bool) -> None:
        self.output, self.new = output.absolute(), overwrite

    def stage(self, name: str, folder: str, function: Callable[..., Any], **arguments: Any) -> None:
        """Call a function of corpuskit that writes a folder, and tell of it."""
        begun = time.monotonic()
        done = function(**arguments, output=self.output / folder, overwrite=self.new)
        self.new |= done.worked
        self.tell(name, folder, "done" if done.worked else "from before", begun)

    def file(self, name: str, file: str, reads: Sequence[str], write: Callable[[Path], object]) -> None:
        """Write a file, whole or not at all, unless it is there and none of the folders that it tells of is newer."""
        begun, path = time.monotonic(), self.output / file
        ends = [found for one in reads for last in LAST for found in (self.output / one).rglob(last)]
        there = path.exists() and path.stat().st_mtime_ns > max(end.stat().st_mtime_ns for end in ends)
        if not there:
            partial = path.with_name(f".{path.name}")
            write(partial)
            partial.replace(path)
        self.tell(name, file, "from before" if there else "done", begun)

    def tell(self, name: str, where: str, state: str, begun: float | None = None) -> None:
        """A line on a stage."""
        seconds = f"{time.monotonic() - begun:6.1f} s" if begun is not None else ""
        print(f"{name:<20} {where:<18} {seconds:>8}  {state}", flush=True)


def main() -> None:
    given = arguments()
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    deck = Deck(given.output, given.overwrite)
    try:
        deck.output.mkdir(parents=True, exist_ok=True)
        story(deck, given)
    except TOLD as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from there")


def story(deck: Deck, given: argparse.Namespace) -> None:
    output, here = deck.output, Execution(workers=WORKERS)
    corpus, texts = output / "corpus", {name: output / "samples" / name for name in ("random", "cases")}

    # From exports of archives to clean paragraphs.
    deck.stage("corpus", "corpus", build, config=config.load(SAMPLES / "demo.yaml"), execution=here, log="quiet")

    # A language model is asked about a part of them.
    labels = enriched(deck, corpus, given)

    # Two samples of as many words.
    factors = CASES["factors"] | ({"quality": QUALITY} if labels else {})
    for recipe in (RANDOM, recipes.validate(CASES | {"factors": factors})):
        deck.stage(
            f"sample {recipe.name}", f"samples/{recipe.name}", sample,
            recipe=recipe, source=corpus, annotations=labels, execution=here,
        )  # fmt: skip

    # What others can load, with its card; and a page to look at.
    deck.stage(
        "publish", "published", publish,
        corpus=corpus, publication=Publication(name="corpuskit deck", shares=Shares.parse("80/10/10")),
        samples=texts, annotations=[("", one) for one in labels],
    )  # fmt: skip
    deck.file("report", "corpus.html", ["corpus", "labels"], lambda file: report(corpus, file, labels))

    # A tokenizer, and two models that differ in their texts alone.
    deck.stage("tokenizer", "tokenizer", learn_tokenizer, source=corpus, vocabulary=1_000, held_out=10)
    architecture = pretraining.load("try-on-cpu").start.architecture
    for name, path in texts.items():
        model = pretraining.load(
            "try-on-cpu",
            name=name,
            start={"architecture": architecture, "tokenizer": str(output / "tokenizer")},
            data={"sources": [{"path": str(path)}], "sequence_length": 256, "held_out": 10},
            budget={"steps": given.steps},
            batch_tokens=1_024,
        )
        deck.stage(f"pretrain {name}", f"models/{name}", pretrain, config=model, store=output / "tokens")

    # What they are worth, by one protocol.
    rules = protocol.load("camembert-bio", steps=given.tune, looks=2, batch_size=8)
    wanted = [tasks.load(name) for name in TASKS]
    for name in (DICTIONARY, *texts):
        deck.stage(
            f"evaluate {name}", f"results/{name}", evaluate,
            system=open_system(name if name == DICTIONARY else str(output / "models" / name)),
            wanted=wanted, data=SAMPLES / "tasks", protocol=rules, seeds=range(1, given.seeds + 1),
        )  # fmt: skip

    # Side by side.
    compared = compare.compare(compare.find([output / "results"]), DICTIONARY)
    forms = {"tables.md": leaderboard.markdown, "tables.tex": leaderboard.latex}
    for file, form in forms.items():
        deck.file("compare", file, ["results"], lambda path, form=form: path.write_text(form(compared), "utf-8"))
    deck.file("compare", "results.html", ["results"], lambda path: evaluation_page(compared, path))
    print()
    Console().print(leaderboard.terminal(compared))


def enriched(deck: Deck, corpus: Path, given: argparse.Namespace) -> list[Path]:
    """The answers of a language model, in the one folder there is; no folder where none was to be asked."""
    folder = deck.output / "labels"
    if given.serve and not demo_model.installed():
        deck.tell("enrich", "", "left out: first, once: python -m corpuskit.enrich.demo_model")
        return []
    if not given.serve and not given.endpoint:
        deck.tell("enrich", "", "left out: there is no language model (--endpoint URL --model NAME, or --serve demo)")
        return []
    begun = time.monotonic()
    if (
        asked_before(folder, demo_model.NAME if given.serve else given.model) and not deck.new
    ):  # a server takes a while to start
        deck.tell("enrich", "labels", "from before", begun)
        return [folder]
    with server(given, folder / "vllm.log") as (url, model, meter, told):
        done = enrich(
            corpus,
            prompts.load(PROMPT),
            Asking(model=model, api="completions" if given.serve else "chat"),
            Sending(endpoints=[url]),
            folder,
            selection=Selection(share=0.25, min_words=30),
            overwrite=deck.new,
            meter=meter,
            serving=told,
            log="quiet",
        )
    deck.new = True
    told_of = ", ".join(f"{count} {outcome}" for outcome, count in done.report["outcomes"].items() if count)
    deck.tell("enrich", "labels", f"done ({told_of})", begun)
    return [folder]


def asked_before(folder: Path, model: str) -> bool:
    """Whether this model has answered. The report is written last."""
    try:
        report: dict[str, Any] = json.loads((folder / "enrichment.json").read_bytes())
    except OSError:
        return False
    asked: str = report["asking"]["model"]
    return asked == model


@contextmanager
def server(given: argparse.Namespace, record: Path) -> Iterator[tuple[str, str, Meter, dict[str, Any] | None]]:
    """The server that is named, or the tiny model behind a real one: its address, the model, what counts its energy."""
    if not given.serve:
        yield given.endpoint, given.model, Meter(here=False), None
        return
    record.parent.mkdir(parents=True, exist_ok=True)
    options, meter = demo_model.serve_options(), Meter(here=True)
    with serve(options, record) as started:
        yield started.url, started.model, meter, {"vllm": started.version, "options": options.model_dump(mode="json")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("deck"), help="folder to write (deck)")
    parser.add_argument("--endpoint", help="a server to ask, its API ending in /v1")
    parser.add_argument("--model", help="the model, as that server knows it")
    parser.add_argument("--serve", choices=["demo"], help="start a server with the tiny model for demonstrations")
    parser.add_argument("--steps", type=int, default=40, help="of pretraining (40)")
    parser.add_argument("--tune", type=int, default=20, help="of each fine-tuning (20)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each task (2)")
    parser.add_argument("--overwrite", action="store_true", help="make everything anew")
    given = parser.parse_args()
    if bool(given.endpoint) != bool(given.model) or (given.endpoint and given.serve):
        parser.error("give --endpoint URL and --model NAME together, or --serve demo alone")
    return given


if __name__ == "__main__":
    main()
