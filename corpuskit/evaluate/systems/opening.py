"""What can be evaluated, by the name that ``--model`` gives it.

``llm:URL#NAME`` is a model behind an OpenAI-compatible server, ``dictionary`` the baseline that knows nothing but what
is annotated in train, and anything else an encoder: a Hugging Face name, a folder, or a run of ``corpuskit pretrain``.
"""

from __future__ import annotations

from typing import Any

from corpuskit.evaluate.records import TaskError
from corpuskit.evaluate.run import System

DICTIONARY, LLM = "dictionary", "llm:"


def open_system(name: str, **asking: Any) -> System:
    """The system of that name.

    Args:
        name: see above.
        asking: options for those that are asked, see :func:`corpuskit.evaluate.systems.llm.open_llm`.

    Raises:
        TaskError: there is none, or something that it needs is not installed.
    """
    if name.startswith(LLM):
        from corpuskit.evaluate.systems.llm import open_llm

        return open_llm(name, **{option: value for option, value in asking.items() if value is not None})
    if given := [option for option, value in asking.items() if value not in (None, 0)]:
        option = {"key_variable": "api-key-env"}.get(given[0], given[0].replace("_", "-"))
        raise TaskError(f"--{option} is for a model that is asked (llm:URL#NAME), not for {name}")
    if name == DICTIONARY:
        from corpuskit.evaluate.systems.dictionary import Dictionary

        return Dictionary()
    from corpuskit.evaluate.systems.finetune import open_encoder

    return open_encoder(name)
