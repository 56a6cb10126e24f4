"""The commands that ask a model, as they are typed, and the job that a lab would copy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import servers
from servers import fake
from typer.testing import CliRunner

from corpuskit.cli import app
from corpuskit.enrich import annotations

ROOT = Path(__file__).parents[2]
#: A vLLM that answers as the false server does.
VLLM = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(servers.__file__).parent)!r})
import servers

given = dict(zip(sys.argv[1:], sys.argv[2:]))


class Server(servers.Server):
    def serve(self, head, body):
        if head.startswith(b"GET /version"):
            self.send(200, {{"version": "0.0.1"}})
        elif head.startswith(b"GET"):
            self.send(200, {{"data": [{{"id": given["--served-model-name"]}}]}})
        else:
            super().serve(head, body)


async def main():
    print(sys.argv, flush=True)
    await (await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(given["--port"]))).serve_forever()


asyncio.run(main())
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    table = {"id": [f"a{at}#0" for at in range(6)], "text": [f"Le cas {at}." for at in range(6)]}
    pq.write_table(pa.table(table), tmp_path / "paragraphs.parquet")
    return tmp_path / "paragraphs.parquet"


@pytest.fixture
def vllm(tmp_path: Path) -> Path:
    folder = tmp_path / "fake" / "vllm" / "entrypoints" / "openai"
    folder.mkdir(parents=True)
    (folder / "api_server.py").write_text(VLLM)
    return tmp_path / "fake"


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "150"}).invoke(app, list(arguments))
    assert "Traceback" not in done.output
    return done.exit_code, " ".join(done.output.split())


def test_enrich_shows_what_it_came_to(source: Path, tmp_path: Path) -> None:
    with fake() as url:
        code, told = invoke(
            "enrich", str(source), "--prompt", "biomed-enriched-fr", "--endpoint", url, "--model", "model",
            "--output", str(tmp_path / "out"), "--watts", "100", "--price-in", "1", "--limit", "5",
        )  # fmt: skip
    assert code == 0, told
    assert "ok │ 5 (100.0%)" in told
    assert "document_type │ study 5" in told
    assert "educational_quality │ 3 5; mean 3.00" in told
    assert "500 in (400 of them cached), 100 out" in told
    assert "estimated: 100 W as stated, times the time" in told
    assert "cost of 1,000 paragraphs │ 0.1000" in told
    assert "all 6 paragraphs" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give either --endpoint URL (repeatable) or --serve MODEL"),
        (["-e", "http://x/v1", "--serve", "m"], "give either --endpoint URL (repeatable) or --serve MODEL"),
        (["-e", "http://x/v1"], "which model? give --model NAME"),
        (
            ["-e", "http://x/v1", "-m", "m", "--retry", "ok"],
            "--retry ok: expected invalid, truncated, refused or error",
        ),
        (["-e", "http://x/v1", "-m", "m", "--body", "{"], "--body is no JSON"),
        (["-e", "http://x/v1", "-m", "m", "--structure", "xml"], "structure"),
        (["-e", "http://127.0.0.1:9/v1", "-m", "m"], "no server answers: - http://127.0.0.1:9/v1: no connection"),
        (["-e", "http://x/v1", "-m", "m", "--prompt", "absent"], "absent is neither a prompt"),
        (["--serve", "m", "--vllm-python", "/nowhere/python"], "/nowhere/python"),
    ],
)
def test_errors_are_for_people(arguments: list[str], told: str, source: Path, tmp_path: Path) -> None:
    prompt = [] if "--prompt" in arguments else ["--prompt", "biomed-enriched-fr"]
    code, output = invoke("enrich", str(source), *prompt, "--output", str(tmp_path / "out"), *arguments)
    assert code == 1
    assert told in output


def test_paragraphs_that_are_none(tmp_path: Path) -> None:
    options = ["-p", "biomed-enriched-fr", "-e", "http://x/v1", "-m", "m", "-o", str(tmp_path / "out")]
    code, told = invoke("enrich", str(tmp_path), *options)
    assert (code, "no Parquet files of paragraphs there" in told) == (1, True)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x.parquet")
    code, told = invoke("enrich", str(tmp_path / "x.parquet"), *options)
    assert (code, "no column 'text'; there are id" in told) == (1, True)


def test_a_prompt_is_tried(tmp_path: Path) -> None:
    code, told = invoke("prompts", "try", "biomed-enriched-fr", "Une toux.")
    assert code == 0
    assert told.endswith("<paragraphe> Une toux. </paragraphe> JSON :")
    (tmp_path / "text").write_text("Une <<wrong>> fièvre.")
    with fake() as url:
        code, told = invoke("prompts", "try", "biomed-enriched-fr", "Une toux.", "-e", url, "-m", "model")
        assert "document_type study" in told
        assert "100 tokens read (80 cached), 20 written" in told
        code, told = invoke("prompts", "try", "biomed-enriched-fr", str(tmp_path / "text"), "-e", url, "-m", "model")
        assert told.startswith("invalid: document_type: 'novel' is none of clinical_case")


def test_vllm_is_started_for_the_run(source: Path, vllm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(vllm))
    code, told = invoke(
        "enrich", str(source), "--prompt", "biomed-enriched-fr", "--serve", "/models/tiny", "--model", "tiny",
        "--tensor-parallel", "2", "--vllm-arg=--max-model-len=4096", "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert code == 0, told
    assert "ok │ 6 (100.0%)" in told
    log = (tmp_path / "out" / "vllm.log").read_text()
    assert "'--model', '/models/tiny', '--served-model-name', 'tiny'" in log
    assert "'--tensor-parallel-size', '2'" in log
    assert "'--max-model-len=4096'" in log
    report = json.loads((tmp_path / "out" / "enrichment.json").read_text())
    assert report["versions"]["server"]["vllm"] == "0.0.1"
    assert report["work"]["energy_kwh"] > 0


def test_the_job_of_a_gpu_node(source: Path, vllm: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(vllm),
        "MODEL": "/models/tiny", "SLURM_GPUS_ON_NODE": "2",
    }  # fmt: skip
    script = ROOT / "pipelines" / "slurm" / "enrich.sbatch"
    command = ["bash", str(script), str(source), "biomed-enriched-fr", str(tmp_path / "out"), "--limit", "4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["outcomes"]["ok"] == 4
    assert annotations.read(tmp_path / "out").annotator.name == "tiny"
    assert "'--data-parallel-size', '2'" in (tmp_path / "out" / "vllm.log").read_text()
