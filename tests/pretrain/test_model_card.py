"""The card of a model: valid metadata, figures of the run, nothing invented, and hostile text that shows as text."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import finished_run
import huggingface_hub
import pytest
import yaml
from finished_run import manifest
from markdown_it import MarkdownIt

from corpuskit.pretrain.card import card

EVIL = (
    "</td><script>alert(1)</script> | [x](javascript:alert(1)) `rm` ![i](http://evil.example/i.png) \u202egnp.exe "
    "$$x$$ @all *a* www.evil.example _b_ <https://evil.example> {{ 7 * 7 }}\n---\nlicense: mit"
)


def front(page: str) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(page.removeprefix("---\n").split("\n---\n", 1)[0])
    return told


def code(page: str) -> str:
    found = re.search(r"^~~~python\n(.*?)^~~~$", page, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_metadata_are_in_the_terms_of_the_hub() -> None:
    page = card(manifest(start=manifest()["start"] | {"hub": True}), finished_run.log())
    assert front(page) == {
        "language": ["fr"],
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "base_model": "almanach/camembert-base",
        "datasets": ["lab/biomed"],
        "tags": ["corpuskit"],
    }
    told = huggingface_hub.ModelCard(page).data
    assert (told.base_model, told.license, told.pipeline_tag) == ("almanach/camembert-base", "mit", "fill-mask")
    # What the client writes of them it reads again.
    assert huggingface_hub.ModelCardData(**front(page)).to_dict() == front(page)


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        (None, {"license": "unknown"}),
        ("Llama 9 <b>Community</b>", {"license": "other", "license_name": "llama-9-b-community-b"}),
        ("€€€", {"license": "other", "license_name": "unnamed"}),
    ],
)
def test_licences(licence: str | None, told: dict[str, str]) -> None:
    found = front(card(manifest(start=manifest()["start"] | {"license": licence})))
    assert {name: found[name] for name in found if name.startswith("license")} == told


@pytest.mark.parametrize(
    ("name", "description", "biomedical"),
    [
        ("essai-base", "CamemBERT, adapted to French biomedical text", True),
        ("camembert-bio", "", True),
        ("essai", "Le français des comptes rendus cliniques", True),
        ("essai", "Un modèle de textes médicaux", True),
        ("biographies", "A model of general text", False),
        ("essai", None, False),
    ],
)
def test_a_model_is_called_biomedical_where_its_configuration_does(
    name: str, description: str | None, biomedical: bool
) -> None:
    page = card(manifest(name=name, config=finished_run.CONFIG | {"description": description}))
    assert front(page)["tags"] == [*(["biology", "medical", "biomedical"] if biomedical else []), "corpuskit"]
    assert "tokens of the French text of the data sets below" in page


def test_from_scratch_there_is_no_base_model() -> None:
    start = {"kind": "from scratch", "model": None, "model_sha256": None, "tokenizer_sha256": "a" * 64, "license": None}
    page = card(manifest(start=start), finished_run.log())
    assert "base_model" not in front(page)
    assert "trained from scratch on 5,242,880 tokens" in page
    assert "| weights it began with, SHA-256 | none |" in page
    assert "No licence is stated for it." in page
    assert "Cite " not in page


def test_a_folder_of_the_machine_is_not_told() -> None:
    start = manifest()["start"] | {"model": "/home/anne/models/mine/", "hub": False}
    page = card(manifest(start=start), finished_run.log())
    assert "anne" not in page
    assert "trained further from mine on" in page
    assert "base_model" not in front(page)


def test_a_folder_with_the_name_of_a_model_on_the_hub_is_none() -> None:
    page = card(manifest(start=manifest()["start"] | {"model": "camembert-base", "hub": False}))
    assert "trained further from camembert-base on" in page
    assert "base_model" not in front(page)


def test_every_figure_is_that_of_the_run() -> None:
    page = card(manifest(), finished_run.log())
    for line in (
        "# essai-base",
        "| parameters | 110,655,493 |",
        "| hal | 1.0 | 1,200 | 400,000 | 4.37 | 12 | 4,100 | 2.10% | CC-BY-4.0, CC0-1.0 |",
        "| istex | 2.0 | 1,200 | 400,000 | 8.74 | 12 | 4,100 | 2.10% | unknown |",
        "| corpuskit publish | Biomed | cccccccccccc |",
        "| corpuskit build | – | bbbbbbbbbbbb |",
        "| batch | 131,072 tokens |",
        "| masking | 0.3 of the tokens, 0.15 from 0.5 of the run on; whole words, drawn anew each time |",
        "| learning rate | 5e-05, linear, warm-up over 0.06 of the run |",
        "| share of the device's peak (MFU) | 41.3% |",
        "| validation texts of | first loss | at step | last loss | at step |",
        "| hal | 3.5000 | 0 | 1.5000 | 40 |",
        "| | kWh | kg CO2e at 34 g/kWh | at 56.0 g/kWh | how it is known |",
        "| training, as counted | 0.04 | 0.00136 | 0.00224 | measured by NVML on 1 GPU(s) |",
        "| making of the data | 0.75 | 0.0255 | 0.042 | 2 stages that led to it |",
        "| CamemBERT-bio | unknown | 0.8 | unknown | published: training alone, device hours × TDP × 34 g/kWh |",
        "- It is small, or was trained little: 110,655,493 parameters, 5,242,880 tokens. "
        "Take it for a trial of the recipe.",
        "  note = {Version dddddddddddd},",
    ):
        assert line in page.splitlines(), line
    assert "](curves.png)" in page


def test_losses_of_two_objectives_stand_apart() -> None:
    config = finished_run.CONFIG | {"objective": "causal-then-mlm"}
    page = card(manifest(config=config), finished_run.log(switch=20))
    assert "| causal | hal | 3.5000 | 0 | 2.5000 | 20 |" in page
    assert "| mlm | hal | 1.5000 | 40 | 1.5000 | 40 |" in page
    assert "not to be compared with that of another" in page
    assert "| objective | causal-then-mlm, 90% of it causal |" in page


def test_where_the_objective_changes_both_are_looked_at() -> None:
    log = finished_run.log(switch=20)
    place = next(place for place, line in enumerate(log) if line["kind"] == "validation" and line["step"] == 20)
    log.insert(place + 1, log[place] | {"objective": "mlm", "loss": {"hal": 9.5}})
    page = card(manifest(), [*log, {"kind": "resumed", "step": 40}])
    assert "| causal | hal | 3.5000 | 0 | 2.5000 | 20 |" in page
    assert "| mlm | hal | 9.5000 | 20 | 1.5000 | 40 |" in page


def test_without_a_log_losses_of_two_objectives_stand_apart_too() -> None:
    training = manifest()["training"]
    training["loss"] |= {"objective": {"first": "causal", "last": "mlm"}}
    page = card(manifest(training=training))
    assert "| causal | hal | 3.5000 | – | – | – |" in page
    assert "| mlm | hal | – | – | 1.5000 | – |" in page
    assert "not to be compared with that of another" in page


def test_the_share_of_the_peak_says_what_it_counts() -> None:
    assert "attention as over whole sequences" in card(manifest())
    assert "attention as over" not in card(manifest(training=manifest()["training"] | {"mfu": None}))


def test_without_a_log_the_losses_are_those_of_the_manifest() -> None:
    assert "| hal | 3.5000 | – | 1.5000 | – |" in card(manifest())
    training = manifest()["training"] | {"loss": {"first": {}, "last": {}}}
    assert "The validation loss is unknown" in card(manifest(training=training))


def test_an_evaluation_is_shown_when_there_is_one() -> None:
    assert "None yet: what this model is worth for a task is unknown." in card(manifest())
    page = card(manifest(), (), {"EMEA": {"F1": 0.767123, "seeds": 10}, "CAS1": {"F1": 0.73, "accuracy": 0.9}})
    assert "| test set | F1 | seeds | accuracy |\n| --- | ---: | ---: | ---: |\n" in page
    assert "| EMEA | 0.7671 | 10 | – |" in page
    assert "| CAS1 | 0.73 | – | 0.9 |" in page


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    told = manifest()
    told["start"] |= {"tokenizer_sha256": None, "license": None, "model": None}
    told["data"] = [one | {"manifest": None} for one in told["data"]]
    told["training"] |= {"mfu": None, "tokens_per_second": None, "reason": None, "epochs": {}}
    told["model"] |= {"layers": None, "hidden_size": None}
    told["versions"], told["energy"] = {}, None
    page = card(told)
    for line in (
        "| layers × hidden size | – × – |", "| tokenizer, SHA-256 | unknown |", "| ended by | unknown |",
        "| share of the device's peak (MFU) | unknown |", "| speed | unknown |",
        "How they were made is unknown: no manifest came with them.", "Unknown: nothing was counted.",
        "- The licences of some of its texts are unknown here.",
    ):  # fmt: skip
        assert line in page.splitlines(), line
    assert "a model whose name is unknown" in page


def test_hostile_text_shows_as_text() -> None:
    told = manifest()
    told["config"] = told["config"] | {"description": EVIL}
    told["start"] |= {"model": EVIL, "license": EVIL}
    told["model"] |= {"model_type": EVIL, "mask_token": '"); import os #\n\u202e'}
    told["data"][0] |= {"name": EVIL}
    told["training"] |= {"device": EVIL, "reason": EVIL}
    told["energy"] |= {"how": EVIL}
    log = [{"kind": "validation", "step": 0, "objective": "mlm", "loss": {EVIL: 1.0}}]
    page = card(told, log, {EVIL: {EVIL: EVIL}})
    assert front(page)["license"] == "other"
    assert "\u202e" not in page
    body = page.removeprefix("---\n").split("\n---\n", 1)[1]
    outside = re.sub(r"^(~{3,})\w*\n.*?^\1$", "", body, flags=re.MULTILINE | re.DOTALL)
    for markup in ("<", "`rm`", "](javascript", "://evil", "$$", "@all"):
        assert markup not in outside
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body)
    assert set(re.findall(r"<(\w+)", shown)) <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "pre",
                                                "code", "ul", "li", "img"}  # fmt: skip
    assert re.findall(r'(?:href|src)="([^"]*)"', shown) == ["curves.png"]
    assert "{{ 7 * 7 }}" in html.unescape(re.sub(r"<[^>]+>", "", shown))
    compile(code(page), "card", "exec")
    assert "import os" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", code(page))


def test_a_causal_model_writes() -> None:
    page = card(manifest(config=finished_run.CONFIG | {"objective": "causal"}))
    assert front(page)["pipeline_tag"] == "text-generation"
    assert 'pipeline("text-generation"' in code(page)
    assert "| masking |" not in page
    assert "cross-entropy of a next token" in card(
        manifest(config=finished_run.CONFIG | {"objective": "causal"}), finished_run.log()
    )


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "le", "patient", "presente", "une", "douleur", "aigue", "."]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("mask", ["[MASK]", None])
def test_the_code_of_the_card_runs(mask: str | None, small_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = manifest(model=manifest()["model"] | {"mask_token": mask})
    lines = code(card(told)).replace("PATH-OF-THIS-FOLDER", str(small_model))
    capsys.readouterr()
    exec(lines, {})
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 5
    assert all(re.fullmatch(r"0\.\d{3} \S+", line) for line in shown)
