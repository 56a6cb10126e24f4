"""Settings from YAML files, and what is wrong with them told to the person who wrote them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

_PACKAGE = Path(__file__).parent


class _Settings(yaml.SafeLoader):
    """YAML without a key that stands twice in one mapping: plain YAML would take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in known:
                    raise yaml.MarkedYAMLError(problem=f"`{key.value}` stands there twice", problem_mark=key.start_mark)
                known.add(key.value)
        return node


def from_yaml(text: str) -> Any:
    """What a file of settings says.

    Raises:
        yaml.YAMLError: it is no YAML, or a key stands in it twice.
    """
    return yaml.load(text, _Settings)


def read(
    path: Path, wrong: type[Exception], fields: str, missing: Callable[[], str] = lambda: "there is no such file"
) -> dict[str, Any]:
    """What a YAML file says, not checked yet.

    Args:
        path: of the file.
        wrong: what to raise, with a message, where it cannot be read or holds no fields.
        fields: such as are expected there.
        missing: what to say of a file that is not there.
    """
    try:
        content = from_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise wrong(f"{path}: {missing()}") from None
    except OSError as error:
        raise wrong(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise wrong(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise wrong(f"{path}: expected fields such as {fields}, found {type(content).__name__}")
    return content


def refusal(where: str, error: ValidationError, explain: Callable[[Any], str]) -> str:
    """All that is wrong with settings, a line each.

    Args:
        where: they stand.
        error: what pydantic has found.
        explain: one line for one of its problems.
    """
    lines = dict.fromkeys(explain(problem) for problem in error.errors())
    return "\n".join([f"{where} cannot be used:", *(f"  - {line}" for line in lines)])


def said(problem: Any) -> str:
    """What pydantic says of a value, and the value where it is short."""
    given = problem.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
    return f"{problem['msg'].removeprefix('Value error, ')}{shown}"


def no_such_option(name: str, known: Collection[str]) -> str:
    """What to say of an option that is not one of those that are known."""
    near = difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return f"no such option; {mend}"


def along(what: str, name: str | Path, known: Collection[str]) -> str:
    """What to say of a file that is not there, where it may have been meant to be one of those that come along.

    Args:
        what: they are called.
        name: that was given.
        known: their names.
    """
    near = difflib.get_close_matches(str(name), known, n=1)
    mend = f"; did you mean {near[0]}?" if near else ""
    return f"there is no such file; {what} that come along are {', '.join(known)}{mend}"


def folders(installed: str, checkout: str) -> tuple[Path, Path]:
    """Where files are that come with corpuskit: in the package when installed, beside it in a checkout.

    Args:
        installed: their folder in the package.
        checkout: their folder in a checkout.
    """
    return _PACKAGE / installed, _PACKAGE.parent / checkout


def shipped(installed: str, checkout: str, ending: str = ".yaml") -> dict[str, Path]:
    """The files of an ending in :func:`folders`, by name."""
    there = (folder for folder in folders(installed, checkout) if folder.is_dir())
    return {path.stem: path for folder in there for path in sorted(folder.glob(f"*{ending}"))}
