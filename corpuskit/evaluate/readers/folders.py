"""The text files of a data set, wherever it is: a folder, an archive, compressed or not, never unpacked to disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpuskit.evaluate.records import TaskError
from corpuskit.files import InputFile, Member, Refused, entries, find


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file: its name without its ending, where it is in words for people, and its content."""

    name: str
    where: str
    text: str


def read(path: str | Path, endings: Sequence[str], folder: str = "") -> dict[str, dict[str, TextFile]]:
    """Read the text files of a data set.

    Args:
        path: a file, a folder (read recursively), a glob, an archive or an fsspec URL.
        endings: of the names of the files that are read; others are left alone. A path that is a single file, and no
            archive, is read whatever its name.
        folder: only files in folders whose path ends so, such as ``train/EMEA``; a file is then known by its name,
            otherwise by its path under ``path``.

    Returns:
        For each ending the files by their names, sorted; line ends are as they stand in the file.

    Raises:
        TaskError: nothing is there, a file cannot be read or is not UTF-8, or two have the same name.
    """
    try:
        found = find(str(path))
    except (OSError, ValueError, ImportError) as error:
        raise TaskError(f"no data at {path}: {error}") from None
    wanted = PurePosixPath(folder).parts
    read: dict[str, dict[str, TextFile]] = {ending: {} for ending in endings}
    elsewhere: set[str] = set()
    for file in found:
        for member, where in _members(file, endings, alone=len(found) == 1 and str(path).endswith(found[0].name)):
            above = PurePosixPath(where.replace("!/", "/")).parent.parts[-len(wanted) :] if wanted else ()
            if above != wanted:
                elsewhere.add("/".join(above))
                continue
            inner = member.name.rpartition("!/")[2]
            name = PurePosixPath(inner).name if wanted else inner
            ending = next((ending for ending in endings if name.lower().endswith(ending)), "")
            files = read[ending or endings[0]]
            name = name.removesuffix(name[len(name) - len(ending) :])
            if name in files:
                raise TaskError(f"{where} and {files[name].where} have one name: keep one, or name the folder of one")
            files[name] = TextFile(name, where, _decoded(member, where))
    if not any(read.values()):
        within = f" in a folder {folder}" if folder else ""
        there = f"; there are such in {', '.join(sorted(elsewhere))}" if elsewhere else ""
        raise TaskError(f"no file {' or '.join(f'*{ending}' for ending in endings)} at {path}{within}{there}")
    return {ending: dict(sorted(files.items())) for ending, files in read.items()}


def _members(file: InputFile, endings: Sequence[str], alone: bool) -> Iterator[tuple[Member, str]]:
    """What a file holds of such files, and where that is."""
    path = file.path.removeprefix("file://")
    try:
        for entry in entries(file):
            name = PurePosixPath(entry.name.rpartition("!/")[2]).name
            if name.startswith(".") or not (name.lower().endswith(tuple(endings)) or (alone and entry.alone)):
                continue
            for member in entry.members:
                archive, _, inner = member.name.rpartition("!/")
                where = f"{path}!/{inner}" if archive else path
                if member.refused not in ("", "the file is empty"):
                    raise TaskError(f"{where} cannot be read: {member.refused}")
                yield member, where
    except (Refused, OSError) as error:
        raise TaskError(f"{path} cannot be read: {error}") from None


def _decoded(member: Member, where: str) -> str:
    try:
        return "" if member.refused else member.read().decode("utf-8")
    except Refused as error:
        raise TaskError(f"{where} cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        mend = "convert the file, as with iconv -f WINDOWS-1252 -t UTF-8"
        raise TaskError(f"{where}: line {line} is not UTF-8: {mend}") from None
