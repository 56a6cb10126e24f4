"""Input files: found once, opened as streams, never unpacked to disk.

A path may be a file, a folder (read recursively), a glob or any fsspec URL. Compression is told by
the first bytes, not by the name. Archives are walked member by member. What is dangerous or broken
is refused with a reason: the caller quarantines it and goes on.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any, Self, cast

import fsspec
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

#: A stream may not grow to more than this many times its compressed size, once it is past 64 MiB.
#: XML text compresses 5 to 20 times, bombs a thousand and more.
MAX_EXPANSION = 200
_EXPANSION_FLOOR = 64 << 20

#: Compressions of compressions (a member .gz of a .tar.gz is two): files exist that unpack to themselves.
_MAX_LAYERS = 3

#: Endings that tell an archive or a compression.
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")

#: No single record or archive member that has to be held in memory may be larger.
MAX_RECORD_BYTES = 64 << 20


class Refused(Exception):
    """Input that is not read: what is wrong with it, and what to do."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read: its path or URL, its name under the source's path, its size in bytes."""

    path: str
    name: str
    size: int


@dataclass(slots=True)
class Member:
    """One stream of an input file: the file itself, or a member of the archive that it is.

    ``name`` is ``file`` or ``archive!/member``, without the suffix of a compression. ``refused`` says
    why there is no stream. Members of an archive are read in turn: each before the next is asked for.
    """

    name: str
    size: int
    stream: IO[bytes]
    refused: str = ""

    def read(self, limit: int = MAX_RECORD_BYTES) -> bytes:
        """The whole content.

        Raises:
            Refused: it is larger than ``limit`` bytes.
        """
        data = self.stream.read(limit + 1)
        if len(data) > limit:
            raise Refused(f"larger than {limit >> 20} MiB", "split it, or drop it")
        return data


def day(file: InputFile) -> str:
    """The day that a file on this machine was last changed (ISO 8601), "" of another, or where it is gone."""
    filesystem, path = url_to_fs(file.path)
    if not isinstance(filesystem, LocalFileSystem):
        return ""
    try:
        return datetime.fromtimestamp(os.path.getmtime(path), UTC).date().isoformat()
    except OSError:
        return ""


def find(path: str) -> list[InputFile]:
    """The files under a path, a glob or an fsspec URL, sorted by name.

    A path that exists is that file, whatever characters are in its name. Links to files are followed,
    links to folders are not; hidden files, pipes and devices are left out.

    Raises:
        FileNotFoundError: nothing is there.
    """
    literal = os.path.lexists(path)
    filesystem, root = (LocalFileSystem(), os.path.abspath(path)) if literal else url_to_fs(path)
    if not literal and any(c in root for c in "*?["):
        found = filesystem.glob(root, detail=True)
        base = str(PurePosixPath(*_fixed_parts(root)))
    elif filesystem.isdir(root):
        found, base = filesystem.find(root, detail=True), root
    elif filesystem.exists(root):
        found, base = {root: filesystem.info(root)}, str(PurePosixPath(root).parent)
    else:
        raise FileNotFoundError(f"nothing at {path}")
    prefix = base.rstrip("/") + "/"
    files = []
    for name, info in found.items():
        relative = name.removeprefix(prefix)
        hidden = any(part.startswith(".") for part in relative.split("/"))
        if not hidden and _is_file(filesystem, name, info):
            files.append(InputFile(filesystem.unstrip_protocol(name), _printable(relative), info.get("size") or 0))
    if not files:
        raise FileNotFoundError(f"no file matches {path}")
    return sorted(files, key=lambda file: file.name)


def _is_file(filesystem: AbstractFileSystem, name: str, info: dict[str, Any]) -> bool:
    if info["type"] == "file":
        return True
    # A link that leads nowhere counts: opening it fails, and says so.
    return bool(info.get("islink")) and (filesystem.isfile(name) or not filesystem.exists(name))


def _printable(name: str) -> str:
    """The name with ``\\udce9`` for a byte that is not UTF-8, so that it can be written down."""
    return name.encode(errors="backslashreplace").decode()


def _fixed_parts(pattern: str) -> Iterator[str]:
    for part in PurePosixPath(pattern).parts:
        if any(c in part for c in "*?["):
            return
        yield part


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of an archive that is not opened yet, or the stream of a file that holds only one.

    ``name`` is that of :class:`Member`, but taken from the name alone: what does not hold the compression
    that its suffix promises keeps the suffix once it is opened. ``alone`` says that nothing else is in
    the file. ``members`` opens it when it is run, and gives one :class:`Member`.
    """

    name: str
    alone: bool
    members: Iterator[Member]


def members(file: InputFile, on_bytes: Callable[[int], None] | None = None) -> Iterator[Member]:
    """Open a file and walk what is in it.

    Args:
        file: what to open.
        on_bytes: called with the number of bytes taken from the file, for progress.

    Raises:
        Refused: the file as a whole is cut off, damaged, or expands like a bomb. A fault in one member
            of an archive is told by that member alone.
        OSError: it cannot be opened or read.
    """
    for entry in entries(file, on_bytes):
        yield from entry.members


def entries(file: InputFile, on_bytes: Callable[[int], None] | None = None) -> Iterator[Entry]:
    """Open a file and list what is in it: an entry is opened before the next one is asked for, or passed over.

    What is passed over in a zip archive is not read, in a tar archive it is read and thrown away. Which
    entries are opened changes neither the others nor the faults of the file as a whole.

    Args and errors are those of :func:`members`.
    """
    with _open(file.path) as opened:
        counted = _Counted(opened, on_bytes)
        raw = io.BufferedReader(counted, 1 << 20)
        yield from _entries(Member(file.name, file.size, cast(IO[bytes], raw)), lambda: counted.count)


def _open(path: str) -> IO[bytes]:
    # fsspec would take "::" in the name of a local file for a chain of URLs.
    local = path.startswith("file://")
    return cast(IO[bytes], LocalFileSystem().open(path, "rb") if local else fsspec.open(path, "rb").open())


def _entries(file: Member, packed: Callable[[], int]) -> Iterator[Entry]:
    member = _unpacked(file, packed)
    if not member.refused and _is_zip(member):
        if member is file:
            yield from _zip_entries(member)
            return
        member = replace(member, refused="a zip archive inside a compression: decompress it first")
    elif not member.refused and _is_tar(member):
        yield from _tar_entries(member, packed)
        return
    yield Entry(member.name, True, iter((member,)))


def _unpacked(member: Member, packed: Callable[[], int]) -> Member:
    """A member without its compressions, which the first bytes tell. ``packed`` counts what was read of it."""
    for _ in range(_MAX_LAYERS + 1):
        head = _head(member)
        if not head:
            return replace(member, refused="the file is empty")
        if (expanded := _decompressed(member, head)) is None:
            return member
        bounded = io.BufferedReader(_Bounded(expanded, packed), 1 << 18)
        member = Member(_without_suffix(member.name), 0, cast(IO[bytes], bounded))
    return replace(member, refused=f"compressed more than {_MAX_LAYERS} times over")


def _head(member: Member) -> bytes:
    return cast(io.BufferedReader, member.stream).peek(6)[:6]


def _is_zip(member: Member) -> bool:
    return _head(member).startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(member: Member) -> bool:
    return member.name.lower().endswith(".tar")


def _decompressed(member: Member, head: bytes) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | None:
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=member.stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(member.stream)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(member.stream)
    return None


def _without_suffix(name: str) -> str:
    lower = name.lower()
    for suffix, replacement in ((".tgz", ".tar"), (".gz", ""), (".bz2", ""), (".xz", "")):
        if lower.endswith(suffix):
            return name[: -len(suffix)] + replacement
    return name


def _without_suffixes(name: str) -> str:
    while (shorter := _without_suffix(name)) != name:
        name = shorter
    return name


def _zip_entries(archive: Member) -> Iterator[Entry]:
    size = archive.size or archive.stream.seek(0, io.SEEK_END)
    try:
        opened = zipfile.ZipFile(archive.stream)
    except zipfile.BadZipFile as error:
        raise Refused(f"the zip archive is cut off or damaged: {error}", "get the file again") from error
    total = 0
    with opened:
        if not opened.infolist():
            yield Entry(archive.name, True, iter((replace(archive, refused="the archive is empty"),)))
        infos = [info for info in opened.infolist() if not info.is_dir()]
        for info in infos:
            member = Member(f"{archive.name}!/{_printable(info.filename)}", info.file_size, io.BytesIO())
            grown = total + info.file_size
            found = iter((member,))
            if refused := _refuse_name(info.filename):
                member.refused = refused
            elif info.flag_bits & 1:
                member.refused = "the archive member is encrypted"
            elif _expands(info.file_size, info.compress_size) or _expands(grown, size):
                problem = (
                    f"{info.compress_size:,} bytes would expand to {info.file_size:,}, {grown:,} with those before"
                )
                member.refused = f"a zip bomb: {problem}"
            else:
                total = grown
                # Not what was read of the archive so far: that depends on the members that were passed over.
                found = _inside(member, partial(opened.open, info), partial(int, info.compress_size))
            yield Entry(_without_suffixes(member.name), len(infos) == 1, found)


def _tar_entries(archive: Member, packed: Callable[[], int]) -> Iterator[Entry]:
    try:
        with tarfile.open(fileobj=archive.stream, mode="r|", tarinfo=_TarHeader) as opened:
            for info in opened:
                if info.isdir():
                    continue
                member = Member(f"{archive.name}!/{_printable(info.name)}", info.size, io.BytesIO())
                found = iter((member,))
                if refused := _refuse_name(info.name):
                    member.refused = refused
                elif not info.isreg() or info.issparse():
                    member.refused = "a link, device or sparse file, not a plain one"
                else:
                    found = _inside(member, partial(opened.extractfile, info), packed)
                yield Entry(_without_suffixes(member.name), False, found)
                # tarfile keeps every header it has met; a long archive would grow without end.
                opened.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        raise _damaged_tar(error) from error


def _inside(member: Member, opened: Callable[[], IO[bytes] | None], packed: Callable[[], int]) -> Iterator[Member]:
    """What a member of an archive holds; a fault in it is its own."""
    try:
        with cast(IO[bytes], opened()) as stream:
            buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
            member.stream = cast(IO[bytes], buffered)
            inner = _unpacked(member, packed)
            nested = not inner.refused and (_is_zip(inner) or _is_tar(inner))
            yield replace(inner, refused="an archive inside an archive") if nested else inner
    except Exception as error:
        name = "" if isinstance(error, Refused) else f"{type(error).__name__}: "
        yield replace(member, refused=f"{name}{error}")


class _TarHeader(tarfile.TarInfo):
    """tarfile takes a damaged or missing header for the end of the archive; only two blocks of zeros are."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise _damaged_tar(error) from error


def _damaged_tar(error: Exception) -> Refused:
    return Refused(f"the tar archive is cut off or damaged: {error}", "get the file again")


def _expands(size: int, packed: int) -> bool:
    return size > _EXPANSION_FLOOR and size > MAX_EXPANSION * packed


def _refuse_name(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        return f"the member's name {name!r} leaves the archive's folder"
    return ""


class _Counted(io.RawIOBase):
    """A raw stream that tells how many bytes were taken from it."""

    def __init__(self, inner: IO[bytes], on_bytes: Callable[[int], None] | None) -> None:
        self._inner, self._on_bytes, self.count = inner, on_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self._on_bytes:
            self._on_bytes(len(data))
        return len(data)


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops when it grows out of proportion. A fault stays: it is met again and again."""

    def __init__(self, inner: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, packed: Callable[[], int]) -> None:
        self._inner, self._packed, self._count = inner, packed, 0
        self._fault: Refused | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        if self._fault:
            raise self._fault
        try:
            # Not read: where the data breaks off, that would lose what it had before.
            data = self._inner.read1(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            problem = f"the compressed data is cut off or damaged: {error}"
            self._fault = Refused(problem, "get the file again")
            raise self._fault from error
        buffer[: len(data)] = data
        self._count += len(data)
        if _expands(self._count, packed := self._packed()):
            self._fault = Refused(
                f"a decompression bomb: {packed:,} bytes expanded to more than {self._count:,}",
                "if it is genuine, decompress it yourself and give the plain file",
            )
            raise self._fault
        return len(data)
