"""What small models are worth: ``python benchmarks/small_evaluation.py --models DIR --real-data DIR --output DIR``.

The models of ``small_models.py`` (general French only, continued, from scratch), a dictionary, and with ``--llm`` the
demo model of 270 million parameters in a vLLM on the processor, on QUAERO dev, Mantra, FRASIMED and MORFITT: five
seeds, every scorer. Protocols: ``protocols/``. What is finished is kept; an interrupted run goes on.
Results: ``results/evaluation.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from corpuskit.enrich import demo_model
from corpuskit.enrich.server import serve
from corpuskit.evaluate import compare, leaderboard, tasks
from corpuskit.evaluate.protocol import load
from corpuskit.evaluate.run import evaluate
from corpuskit.evaluate.systems.opening import DICTIONARY, open_system

HERE = Path(__file__).parent
MODELS = ("general", "continued", "from-scratch")
#: Of each task the protocol, and the documents of test.
TASKS: dict[str, tuple[str, int | None]] = {
    "quaero-medline-dev": ("small", None),
    "quaero-emea-dev": ("small", None),
    "mantra": ("small", None),
    "frasimed-distemist": ("small-long", 30),
    "morfitt": ("small-labels", 300),
}
#: Documents that a large model on a processor is asked about.
ASKED = {"quaero-medline-dev": 40, "mantra": 30, "frasimed-distemist": 3, "morfitt": 30}
#: Of the demo model.
PARAMETERS = 268_098_176
_KEPT = ("system", "protocol", "seeds", "limit", "energy", "versions", "fingerprint")


def run(given: argparse.Namespace) -> None:
    systems = {name: str(given.models / name) for name in MODELS} | {DICTIONARY: DICTIONARY}
    for name, where in systems.items():
        for task, (_, limit) in TASKS.items():
            put(given, name, where, task, limit)


def ask(given: argparse.Namespace) -> None:
    """The same of the demo model, zero-shot and with examples, on fewer documents."""
    with serve(demo_model.serve_options(), given.output / "vllm.log", print) as server:
        where = f"llm:{server.url}#{server.model}"
        wanted = [(given.shots, task, limit) for task, limit in ASKED.items()]
        # Without an example it mostly writes on and on.
        for shots, task, limit in [*wanted, (0, "quaero-medline-dev", ASKED["quaero-medline-dev"])]:
            put(given, f"llm-{shots}-shot", where, task, limit, shots=shots, api="completions", concurrency=8,
                parameters=PARAMETERS)  # fmt: skip


def put(given: argparse.Namespace, name: str, where: str, task: str, limit: int | None, **asking: Any) -> None:
    rules = load(HERE / "protocols" / f"{TASKS[task][0]}.yaml")
    seeds = range(1, given.asked_seeds + 1) if asking else ()
    folder = given.output / f"{name}-{task}"
    if not (folder / "manifest.json").exists():
        evaluate(open_system(where, **asking), [tasks.load(task)], given.real_data, folder, protocol=rules, seeds=seeds,
                 limit=limit)  # fmt: skip


def collected(output: Path) -> dict[str, Any]:
    """What the folders of evaluations tell, without the answers."""
    found = {}
    for manifest in sorted(output.glob("*/manifest.json")):
        told = orjson.loads(manifest.read_bytes())
        for task in told["tasks"]:
            scores = orjson.loads((manifest.parent / task["task"]["name"] / "scores.json").read_bytes())
            found[manifest.parent.name] = {name: told[name] for name in _KEPT} | {"task": task, "scores": scores}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="what small_models.py wrote; none: only look at the output")
    parser.add_argument("--real-data", type=Path, default=os.environ.get("CORPUSKIT_REAL_DATA"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--llm", action="store_true", help="ask the demo model as well")
    parser.add_argument("--asked-seeds", type=int, default=1, help="runs of the model that is asked, with examples")
    parser.add_argument("--shots", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--json", type=Path, help="write what the runs tell here")
    given = parser.parse_args()
    if given.models:
        run(given)
    if given.llm:
        ask(given)
    found = compare.find([given.output])
    own = compare.compare([one for one in found if one.system["kind"] != "llm"], DICTIONARY)
    asked = {one.task.name for one in found if one.system["kind"] == "llm"}
    beside = [one for one in found if one.task.name in asked]
    told = {"All documents": own} | (
        {"Documents that the large model was asked about": compare.compare(beside, DICTIONARY)} if beside else {}
    )
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, comparison in told.items():
        console.rule(title)
        console.print(leaderboard.terminal(comparison))
    if given.markdown:
        parts = (f"# {title}\n\n{leaderboard.markdown(comparison)}" for title, comparison in told.items())
        given.markdown.write_text("\n".join(parts), encoding="utf-8")
    if given.json:
        kept = {"command": "python benchmarks/small_evaluation.py", "runs": collected(given.output)}
        given.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
