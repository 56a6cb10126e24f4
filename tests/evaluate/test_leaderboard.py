"""The tables of a comparison: the same figures on the terminal, in Markdown and in LaTeX."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import result_folders as folders
from result_folders import spans, write
from rich.console import Console

from corpuskit.evaluate import leaderboard
from corpuskit.evaluate.compare import Comparison, compare, find
from corpuskit.evaluate.records import Answer, Document
from corpuskit.evaluate.statistics import Interval, Spread

TEXT = "Aspirine ce matin"
GOLD = spans(TEXT, ("Aspirine", "DRUG"))
HIT, MISS = Answer(GOLD), Answer()
TASK = folders.task()


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    documents = [Document(f"d{n:02}", TEXT, GOLD) for n in range(20)]
    ids = [one.id for one in documents]
    write(tmp_path / "a", "dictionary_1", (TASK, documents, {1: dict.fromkeys(ids, HIT) | {"d00": MISS, "d01": MISS}}),
          kind="dictionary", parameters=12_345, bytes=2_000_000)  # fmt: skip
    runs = [{"training_seconds": 100.0, "prediction_seconds": 0.4}] * 2
    write(tmp_path / "b", "camem & bert", (TASK, documents, {
        1: dict.fromkeys(ids, HIT), 2: dict.fromkeys(ids, MISS),
    }), runs=runs, parameters=110_000_000)  # fmt: skip
    return compare(find([tmp_path]), None, ["token"])


def test_numbers() -> None:
    assert leaderboard.spread(Spread(0.7303, 0.0042, 10)) == "73.03 ± 0.42"
    assert leaderboard.spread(Spread(1.0, None, 1)) == "100.00"
    assert leaderboard.spread(Spread(float("nan"), None, 1)) == "–"
    assert leaderboard.interval(Interval(0.5, 0.4, 0.61)) == "[40.00, 61.00]"
    assert leaderboard.interval(Interval(0.5, None, None)) == "–"
    assert leaderboard.difference(-0.012, -0.03, 0.004) == "-1.20 [-3.00, +0.40]"
    assert leaderboard.difference(0.012, None, None) == "+1.20"
    told = [leaderboard.amount(value) for value in (1234.5, 12.34, 0.01234, 0.0, 99.99, None)]
    assert told == ["1,230", "12.3", "0.0123", "0", "100.0", "–"]
    assert [leaderboard.large(value) for value in (110_000_000, 9_800_000, 512, 0, None)] == [
        "110 M", "9.80 M", "512", "0", "–"
    ]  # fmt: skip
    assert leaderboard.large(438_000_000, ("B", "kB", "MB", "GB")) == "438 MB"


CAPTION = (
    "Un essai: strict × 100 on 20 documents of test, protocol camembert-bio; 1 to 2 seeds. Mean ± standard deviation "
    "over seeds. Intervals: 95 % of 200 bootstrap samples of the 20 documents. Differences are to dictionary_1; win "
    "rate: share of the seeds above it. p-values of the paired bootstrap and of approximate randomisation, two-sided. "
    "↑ and ↓: above and below dictionary_1, both p-values below 0.05. The best is bold. Not all systems have as many "
    "seeds (dictionary_1 1, camem & bert 2): in differences the runs of the fewer are repeated. Not as the "
    "protocol camembert-bio says: steps 20, not 2000."
)


def test_markdown(comparison: Comparison) -> None:
    expected = f"""\
## essai, camembert-bio

| system | strict | 95 % interval | difference | p bootstrap | p randomisation | win rate |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| dictionary_1 | **94.74** | [85.71, 100.00] | baseline |  |  |  |
| camem & bert | 50.00 ± 70.71↓ | [50.00, 50.00] | -44.74 [-50.00, -35.71] | 0.005 | 0.005 | 50 % |

{CAPTION}

## essai, camembert-bio: all scorers

| scorer | dictionary_1 | camem & bert |
| --- | ---: | ---: |
| strict | **94.74 (1)** | 50.00 ± 70.71 (2)↓ |
| token | **94.74 (1)** | 50.00 ± 70.71 (2)↓ |

The same answers by every scorer, × 100, on 20 documents of test. In brackets the rank by each scorer; the best is \
bold. No scorer changes the ranking. ↑ and ↓: above and below dictionary_1, both p-values below 0.05.

## essai, camembert-bio: by label

| label | support | dictionary_1 | camem & bert |
| --- | ---: | ---: | ---: |
| DRUG | 20 | **94.74** | 50.00 |

Strict F1 of each label × 100, mean over seeds; support: how many there are in the gold.

## essai, camembert-bio: costs

| system | kind | strict | parameters | size | training s | ms a document | 95 % within ms | Wh a run | \
Wh per 1,000 documents |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| dictionary_1 | dictionary | 94.74 | 12.3 k | 2.00 MB | – | – | – | – | – |
| camem & bert | encoder | 50.00 | 110 M | – | 100 | 20.0≈ | – | – | – |

What each system takes: training of a seed, time of a document, energy of a seed's run and of answers. \
≈: documents are not answered one by one; the time of all by their number.
"""
    assert leaderboard.markdown(comparison) == expected


def test_latex(comparison: Comparison) -> None:
    tables = leaderboard.latex(comparison).split("\n\n")
    assert tables[0] == r"% \usepackage{booktabs}"
    scorers = r"""\begin{table}[ht]
\centering
\caption{essai, camembert-bio: all scorers. The same answers by every scorer, $\times$ 100, on 20 documents of test.
 In brackets the rank by each scorer; the best is bold.
 No scorer changes the ranking. $\uparrow$ and $\downarrow$: above and below dictionary\_1, both p-values below 0.05.}
\label{tab:essai-camembert-bio-scorers}
\begin{tabular}{lrr}
\toprule
scorer & dictionary\_1 & camem \& bert \\
\midrule
strict & \textbf{94.74 (1)} & 50.00 $\pm$ 70.71 (2)$\downarrow$ \\
token & \textbf{94.74 (1)} & 50.00 $\pm$ 70.71 (2)$\downarrow$ \\
\bottomrule
\end{tabular}
\end{table}"""
    assert tables[2].replace(" In brackets", "\n In brackets").replace(" No scorer", "\n No scorer") == scorers
    headline = tables[1].splitlines()
    assert headline[5] == r"\toprule"
    assert headline[6] == (
        r"system & strict & 95 \% interval & difference & p bootstrap & p randomisation & win rate \\"
    )
    assert headline[9].startswith(r"camem \& bert & 50.00 $\pm$ 70.71$\downarrow$ & [50.00, 50.00] & $-$44.74 [$-$")


def test_terminal(comparison: Comparison) -> None:
    console = Console(width=140, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(leaderboard.terminal(comparison))
    text = console.export_text(clear=False, styles=False)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "essai, camembert-bio"
    assert lines[1] == "system strict 95 % interval difference p bootstrap p randomisation win rate"
    assert lines[3].startswith("camem & bert 50.00 ± 70.71↓ [50.00, 50.00] -44.74 [-")
    assert re.search(r"\x1b\[1m *94\.74\x1b\[0m", console.export_text(styles=True))


def test_words_stay_whole_on_a_terminal_where_there_is_room_for_them(comparison: Comparison) -> None:
    costs = leaderboard.of_ranking(comparison.rankings[0])["costs"]
    for width in (140, 100):
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(leaderboard.to_terminal(costs))
        text = console.export_text()
        assert all(len(line) <= width for line in text.splitlines())
        for word in ("dictionary_1", "dictionary", "parameters", "training", "document", "documents", "within", "≈"):
            assert re.search(rf"(?<!\w){word}(?!\w)", text), (width, word)


def test_names_are_text_in_every_form(tmp_path: Path) -> None:
    name = r"[red]a|b_ *c* <i> [x](y) \d {e} 50% $f$ #1 ~^" + "\nnext"
    write(tmp_path / "x", name, (TASK, [Document("d", TEXT, GOLD)], {1: {"d": HIT}}))
    comparison = compare(find([tmp_path]))
    assert r"| [red]a\|b\_ \*c\* \<i\> [x]\(y) \\d {e} 50% $f$ #1 ~^ next | 100.00 | – |" in leaderboard.markdown(
        comparison
    )
    tex = (
        r"[red]a|b\_ *c* $<$i$>$ [x](y) \textbackslash{}d \{e\} 50\% \$f\$ \#1 \textasciitilde{}\textasciicircum{} next"
    )
    # What begins with a bracket must not be taken for the option of the line break before it.
    assert f"{{}}{tex} & 100.00 & -- \\\\" in leaderboard.latex(comparison)
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(leaderboard.terminal(comparison))
    assert "[red]a|b_ *c*" in console.export_text()


def test_alone_there_is_no_best_and_nothing_to_compare_with(tmp_path: Path) -> None:
    write(tmp_path / "x", "alone", (TASK, [Document("d", TEXT, GOLD)], {1: {"d": HIT}}))
    tables = leaderboard.of_ranking(compare(find([tmp_path])).rankings[0])
    headline = tables["headline"]
    assert headline.heads == ("system", "strict", "95 % interval")
    assert [(cell.text, cell.best) for cell in headline.rows[0]] == [("alone", False), ("100.00", False), ("–", False)]
    assert headline.caption == (
        "Un essai: strict × 100 on 1 document of test, protocol camembert-bio; 1 seed.",
        "There is a single document to draw from: no interval, and p-values of 1.",
        "Not as the protocol camembert-bio says: steps 20, not 2000.",
    )
    assert set(tables) == {"headline", "scorers", "labels", "costs"}


def test_what_was_lost_and_where_the_rule_moves_a_rank(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", TEXT, GOLD) for n in range(4)]
    near = Answer(spans(TEXT, ("Aspirine ce", "DRUG")))
    write(tmp_path / "a", "near", (TASK, documents, {1: {one.id: near for one in documents}}),
          runs=[{"lost": {"nested": 3, "discontinuous": 1}}])  # fmt: skip
    half = {one.id: HIT if n % 2 else Answer(problem="no JSON") for n, one in enumerate(documents)}
    write(tmp_path / "b", "half", (TASK, documents, {1: half}), kind="llm")
    tables = leaderboard.of_ranking(compare(find([tmp_path])).rankings[0])
    assert [[cell.text for cell in row] for row in tables["losses"].rows] == [
        ["half", "none", "2 of 4: no JSON 2"], ["near", "nested 3, discontinuous 1", "0 of 4"]
    ]  # fmt: skip
    assert "The rule moves the ranking: half has rank 1 by strict, 2 by overlap." in tables["scorers"].caption


def test_latency_is_told_with_the_load_that_it_was_under(tmp_path: Path) -> None:
    asked = {"d": Answer(GOLD, seconds=2.0)}
    write(tmp_path / "a", "asked", (TASK, [Document("d", TEXT, GOLD)], {1: asked}), kind="llm", concurrency=16)
    costs = leaderboard.of_ranking(compare(find([tmp_path])).rankings[0])["costs"]
    assert costs.caption[1] == (
        "Without ≈: from question to answer, document by document (questions under way at a time: asked: 16)."
    )


def test_all_tasks(tmp_path: Path) -> None:
    other = folders.task("autre")
    documents = [Document("d", TEXT, GOLD)]
    write(tmp_path / "a", "one", (TASK, documents, {1: {"d": MISS}}), (other, documents, {1: {"d": HIT}}))
    write(tmp_path / "b", "two", (TASK, documents, {1: {"d": HIT}}), (other, documents, {1: {"d": HIT}}))
    table = leaderboard.of(compare(find([tmp_path])))[-1]
    assert table.title == "All tasks, camembert-bio"
    assert table.caption == (
        "Over 2 tasks that all systems did: essai, autre.",
        "Ranks are by the headline of each task, 1 the best.",
        "Win rate: share of the tasks with a higher mean than one; a tie is half a win.",
    )
    assert [[cell.text for cell in row] for row in table.rows] == [["two", "1.00", "75 %"], ["one", "1.50", "–"]]
