"""The same requests to the real vLLM (the demo model, on the CPU), by us and by vLLM's own benchmark client.

    python benchmarks/against_vllm.py --real-data DIR --json benchmarks/results/against_vllm.json

Before each turn the prefix cache is emptied and one question asked, as vLLM's client does by itself before its clock
starts. Ours includes reading, checking and committing. vLLM's client needs pandas, which the demo environment lacks:
--extra-path names a folder that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from injection import base

from corpuskit.enrich import demo_model, prompts
from corpuskit.enrich.ask import Asking, Questions
from corpuskit.enrich.run import Sending, enrich
from corpuskit.enrich.server import serve

CLIENT = """
import argparse
from vllm.benchmarks.serve import add_cli_args, main
parser = argparse.ArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-data", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--extra-path", default="")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    texts = base(given.real_data, given.requests)
    prompt = prompts.load("biomed-enriched-fr")
    asking = Asking(model=demo_model.NAME, api="completions")
    questions = Questions(prompt, asking)
    options = demo_model.serve_options()
    options = options.model_copy(update={"environment": options.environment | {"VLLM_SERVER_DEV_MODE": "1"}})
    with tempfile.TemporaryDirectory() as name, serve(options, Path(name) / "vllm.log", print) as server:
        folder, root = Path(name), server.url.removesuffix("/v1")
        pq.write_table(pa.table({"id": [str(at) for at in range(len(texts))], "text": texts}), folder / "p.parquet")
        bodies = [json.loads(questions.body(text)) for text in texts]
        with (folder / "prompts.jsonl").open("w", encoding="utf-8") as lines:
            for body in bodies:
                lines.write(json.dumps({"prompt": body["prompt"], "output_tokens": body["max_tokens"]}) + "\n")
        rest = {key: value for key, value in bodies[0].items() if key not in ("model", "prompt", "max_tokens")}

        def empty() -> None:
            for path, body in ("/reset_prefix_cache", b""), ("/v1/completions", json.dumps(bodies[-1]).encode()):
                headers = {"Content-Type": "application/json"}
                urllib.request.urlopen(urllib.request.Request(root + path, body, headers, method="POST")).close()

        def ours(turn: int) -> dict[str, float]:
            sending = Sending(endpoints=[server.url], in_flight=given.in_flight)
            told = enrich(folder / "p.parquet", prompt, asking, sending, folder / f"out-{turn}", log="quiet").report
            assert told["outcomes"]["ok"] == len(texts), told["outcomes"]
            return {"requests_per_s": told["work"]["requests_per_second"], "tokens_out": told["work"]["tokens"]["out"]}

        def theirs(turn: int) -> dict[str, float]:
            (folder / "client.py").write_text(CLIENT)
            command = [
                options.python, str(folder / "client.py"), "--backend", "openai", "--base-url", root,
                "--endpoint", "/v1/completions", "--model", demo_model.NAME, "--tokenizer", options.model,
                "--dataset-name", "custom", "--dataset-path", str(folder / "prompts.jsonl"), "--skip-chat-template",
                "--disable-shuffle", "--num-prompts", str(len(texts)), "--custom-output-len", "-1",
                "--max-concurrency", str(given.in_flight), "--save-result", "--result-dir", str(folder),
                "--result-filename", f"theirs-{turn}.json", "--extra-body", json.dumps(rest),
            ]  # fmt: skip
            environment = os.environ | {"PYTHONPATH": given.extra_path, "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
            told = json.loads((folder / f"theirs-{turn}.json").read_text())
            assert told["completed"] == len(texts), told["completed"]
            return {"requests_per_s": round(told["request_throughput"], 3), "tokens_out": told["total_output_tokens"]}

        ours(-1)  # the first minute of a server is slower, whoever asks
        rounds: list[dict[str, Any]] = []
        for turn in range(given.rounds):
            found: dict[str, Any] = {}
            for who, send in [("ours", ours), ("vllm", theirs)][:: 1 if turn % 2 == 0 else -1]:
                empty()
                found[who] = send(turn)
            found["ratio"] = round(found["ours"]["requests_per_s"] / found["vllm"]["requests_per_s"], 3)
            rounds.append(found)
            print(json.dumps(found))
        result = {
            "machine": platform.platform(), "vllm": server.version, "model": demo_model.NAME,
            "requests": len(texts), "in_flight": given.in_flight, "rounds": rounds,
        }  # fmt: skip
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
