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
    with _open(file.path) as opened:
        counted = _Counted(opened, on_bytes)
        raw = io.BufferedReader(counted, 1 << 20)
        yield from _members(Member(file.name, file.size, cast(IO[bytes], raw)), counted, depth=0)


def _open(path: str) -> IO[bytes]:
    # fsspec would take "::" in the name of a local file for a chain of URLs.
    local = path.startswith("file://")
    return cast(IO[bytes], LocalFileSystem().open(path, "rb") if local else fsspec.open(path, "rb").open())


def _members(member: Member, counted: _Counted, depth: int, layers: int = 0) -> Iterator[Member]:
    stream = cast(io.BufferedReader, member.stream)
    head = stream.peek(6)[:6]
    if not head:
        yield replace(member, refused="the file is empty")
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if depth:
            yield replace(member, refused="an archive inside an archive")
        elif layers:
            yield replace(member, refused="a zip archive inside a compression: decompress it first")
        else:
            yield from _zip_members(member, counted)
    elif (expanded := _decompressed(member, head)) is not None:
        if layers == _MAX_LAYERS:
            yield replace(member, refused=f"compressed more than {_MAX_LAYERS} times over")
            return
        bounded = io.BufferedReader(_Bounded(expanded, counted), 1 << 18)
        inner = Member(_without_suffix(member.name), 0, cast(IO[bytes], bounded))
        yield from _members(inner, counted, depth, layers + 1)
    elif member.name.lower().endswith(".tar"):
        if depth:
            yield replace(member, refused="an archive inside an archive")
        else:
            yield from _tar_members(member, counted)
    else:
        yield member


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


def _zip_members(archive: Member, counted: _Counted) -> Iterator[Member]:
    try:
        opened = zipfile.ZipFile(archive.stream)
    except zipfile.BadZipFile as error:
        raise Refused(f"the zip archive is cut off or damaged: {error}", "get the file again") from error
    total = 0
    with opened:
        if not opened.infolist():
            yield replace(archive, refused="the archive is empty")
        for info in opened.infolist():
            if info.is_dir():
                continue
            member = Member(f"{archive.name}!/{_printable(info.filename)}", info.file_size, io.BytesIO())
            grown = total + info.file_size
            if refused := _refuse_name(info.filename):
                yield replace(member, refused=refused)
            elif info.flag_bits & 1:
                yield replace(member, refused="the archive member is encrypted")
            elif _expands(info.file_size, info.compress_size) or _expands(grown, archive.size or counted.count):
                problem = (
                    f"{info.compress_size:,} bytes would expand to {info.file_size:,}, {grown:,} with those before"
                )
                yield replace(member, refused=f"a zip bomb: {problem}")
            else:
                total = grown
                yield from _inside(member, partial(opened.open, info), counted)


def _tar_members(archive: Member, counted: _Counted) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=archive.stream, mode="r|", tarinfo=_TarHeader) as opened:
            for info in opened:
                if info.isdir():
                    continue
                member = Member(f"{archive.name}!/{_printable(info.name)}", info.size, io.BytesIO())
                if refused := _refuse_name(info.name):
                    yield replace(member, refused=refused)
                elif not info.isreg() or info.issparse():
                    yield replace(member, refused="a link, device or sparse file, not a plain one")
                else:
                    yield from _inside(member, partial(opened.extractfile, info), counted)
                # tarfile keeps every header it has met; a long archive would grow without end.
                opened.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        raise _damaged_tar(error) from error


def _inside(member: Member, open_member: Callable[[], IO[bytes] | None], counted: _Counted) -> Iterator[Member]:
    """What a member of an archive holds; a fault in it is its own."""
    try:
        with cast(IO[bytes], open_member()) as stream:
            buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
            member.stream = cast(IO[bytes], buffered)
            yield from _members(member, counted, depth=1)
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
    """A decompressed stream that stops when it grows out of proportion."""

    def __init__(self, inner: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, counted: _Counted) -> None:
        self._inner, self._counted, self._count = inner, counted, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        try:
            # Not read: where the data breaks off, that would lose what it had before.
            data = self._inner.read1(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise Refused(f"the compressed data is cut off or damaged: {error}", "get the file again") from error
        buffer[: len(data)] = data
        self._count += len(data)
        if _expands(self._count, self._counted.count):
            raise Refused(
                f"a decompression bomb: {self._counted.count:,} bytes expanded to more than {self._count:,}",
                "if it is genuine, decompress it yourself and give the plain file",
            )
        return len(data)
