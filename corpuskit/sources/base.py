"""What every reader shares: files in, articles and quarantined input out, one fault never costing the rest.

A large file may be read by several tasks side by side. Each cuts the whole stream into records, which is
cheap, and parses only those that fall to it. Whatever the number of tasks, an item has the same place in
the file, a number of 40 bits that increases: that of its record and its own within the record (8 bits), or
where the file is an archive that of the member and its own within the member (18 bits).
"""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, ClassVar, TypeVar, cast

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.readers.base import BaseReader
from pydantic import AfterValidator, Field

from corpuskit import files, identifiers, steps
from corpuskit.files import Entry, InputFile, Member, Refused
from corpuskit.records import Article, Quarantined

#: What one record holds. Where finding it costs anything it is a generator, which another task never runs.
Items = Iterable[Article | Quarantined]
_T = TypeVar("_T")

_PLACE_BITS = 40
#: Bits of a place that number the items of one record of a stream, and of one member of an archive.
RECORD_BITS, MEMBER_BITS = 8, 18


def _known_languages(codes: list[str]) -> list[str]:
    for code in codes:
        if not identifiers.language(code):
            raise ValueError(f"{code!r} is no language code; write 'fr' or 'fre', for example")
    return [identifiers.language(code) for code in codes]


#: Codes of languages, in any of the forms that are in use, normalised.
Languages = Annotated[list[str], AfterValidator(_known_languages)]


class SourceOptions(steps.StepOptions):
    """What every source takes."""

    path: str = Field(description="file, folder, glob or fsspec URL; plain, .gz, .bz2, .xz, .zip, .tar, .tar.gz")
    name: str = Field(
        "", pattern=r"^[a-z0-9_-]*$", description="name in the `source` column and in ids, when not the reader's own"
    )


class SourceReader(BaseReader):
    """A datatrove reader that yields one document an article (``metadata["article"]``).

    Input that cannot be read is yielded too (``metadata["quarantined"]``), so that a pipeline can
    write it down. Articles that the options leave out come marked, with no paragraphs.

    A subclass sets ``source``, ``suffixes``, ``Options``, and writes :meth:`read`; one whose
    documents are spread over several members overrides :meth:`pieces`.

    Args:
        path: file, folder, glob or fsspec URL.
        limit: articles to read per task, -1 for all.
        **options: the fields of ``Options``.
    """

    source: ClassVar[str]
    #: Endings of the member names that are read; anything else is counted in ``ignored``.
    suffixes: ClassVar[tuple[str, ...]]
    Options: ClassVar[builtins.type[SourceOptions]] = SourceOptions

    def __init__(self, path: str, limit: int = -1, **options: Any) -> None:
        super().__init__(limit=limit)
        self.options: Any = self.Options(path=path, **options)
        self.source_name: str = self.options.name or self.source
        self.ignored: Counter[str] = Counter()
        self.bytes_read = 0

    def files(self) -> list[InputFile]:
        """The input files, sorted by name.

        Raises:
            FileNotFoundError: the path leads to none.
        """
        return files.find(self.options.path)

    def dates(self, found: Sequence[InputFile]) -> list[str]:
        """The days that some of its files are of, in order, as far as they are known: those of their last change."""
        return sorted({files.day(file) for file in found} - {""})

    def reads(self, name: str) -> bool:
        """Whether a member of that name is this reader's kind of file."""
        return name.lower().endswith(self.suffixes)

    @abstractmethod
    def read(self, member: Member) -> Iterator[Items]:
        """The records of one stream, each as what it holds, which is found when it is asked for.

        An exception there costs this record, an exception between two records the rest of the stream.
        What comes must depend on the stream alone, not on which records were asked for what they hold.
        """

    def read_file(self, file: InputFile) -> Iterator[Article | Quarantined]:
        """The articles of one input file, plain, compressed or archive, in the order of the file."""
        for _, item in self.read_slice(file):
            yield item

    def read_slice(self, file: InputFile, part: int = 0, parts: int = 1) -> Iterator[tuple[int, Article | Quarantined]]:
        """The items of one file that fall to one of several parts.

        The parts together hold what the file holds, each item once, at a place that does not depend on
        their number. A part takes every ``parts``-th record of a stream, or member of an archive.

        Args:
            file: plain, compressed or archive.
            part: which one, from 0.
            parts: how many there are.

        Yields:
            Each item with its place in the file, at least 0 and less than 2**40, increasing.

        Raises:
            ValueError: there is no such part.
        """
        if not 0 <= part < parts:
            raise ValueError(f"there is no part {part} of {parts}: they are counted from 0")
        count = self._counter(file.size, parts)
        for number, bits, items in self.pieces(file, part, parts, count):
            last = (1 << bits) - 1
            for at, item in enumerate(items):
                if at == last:
                    what, hint = ("record", "split it") if bits == RECORD_BITS else ("member", "unpack the archive")
                    problem = f"this {what} of the file holds more than {last:,} articles: the rest is not read"
                    yield number << bits | at, self.quarantine(item.file, problem, hint=hint)
                    break
                yield number << bits | at, item
        count(file.size)

    def pieces(
        self, file: InputFile, part: int, parts: int, on_bytes: Callable[[int], None]
    ) -> Iterator[tuple[int, int, Items]]:
        """What of a file falls to a part, by record or by member.

        Args:
            file: plain, compressed or archive.
            part: which part, from 0. The first also tells what is wrong with the file as a whole.
            parts: how many there are.
            on_bytes: called with the number of bytes taken from the file.

        Yields:
            The number of the record or member, increasing; ``RECORD_BITS`` or ``MEMBER_BITS``; what it holds.
        """
        position, ours = -1, 0
        try:
            for position, entry in numbered(files.entries(file, on_bytes), MEMBER_BITS):
                if entry.alone:
                    for number, items in self._stream(entry.members, part, parts):
                        yield number, RECORD_BITS, items
                    return
                # Only what is this reader's counts: every third file of a package may be the one that is wanted.
                readable = self.reads(entry.name)
                if (ours % parts if readable else 0) == part:
                    yield position, MEMBER_BITS, self._member(entry)
                ours += readable
        except Exception as error:
            if part == 0:
                yield position + 1, MEMBER_BITS, (self.quarantine(file.name, error),)

    def _member(self, entry: Entry) -> Items:
        return chain.from_iterable(items for _, items in self._stream(entry.members, 0, 1))

    def _stream(self, members: Iterator[Member], part: int, parts: int) -> Iterator[tuple[int, Items]]:
        """The records of one stream that fall to a part, with their numbers."""
        for member in members:
            # What is packed and refused might have held this reader's files.
            packed = member.refused and member.name.lower().endswith(files.PACKED)
            if not self.reads(member.name) and not packed:
                if part == 0:
                    self.ignore(member)
            elif member.refused:
                if part == 0:
                    yield 0, (self.quarantine(member.name, member.refused),)
            else:
                number = -1
                try:
                    for number, items in numbered(self.read(member), RECORD_BITS):
                        if number % parts == part:
                            yield number, self.guarded(items, member.name, str(number))
                except Exception as error:
                    if part == 0:
                        yield number + 1, (self.quarantine(member.name, error),)

    def guarded(self, items: Items, file: str, record: str) -> Iterator[Article | Quarantined]:
        """What a record holds, an exception in place of what cannot be found."""
        try:
            yield from items
        except Exception as error:
            yield self.quarantine(file, error, record)

    def read_files(self, shard: Iterable[InputFile]) -> Iterator[Document]:
        """Read files in turn, up to ``limit`` articles."""
        articles = 0
        for file in shard:
            self.stat_update("input_files")
            for item in self.read_file(file):
                yield steps.to_document(item)
                articles += isinstance(item, Article)
                if 0 <= self.limit <= articles:
                    return

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        return cast(DocumentsPipeline, self._run(data, rank, world_size))

    def _run(self, data: DocumentsPipeline, rank: int, world_size: int) -> Iterator[Document]:
        yield from data or ()
        for document in self.read_files(self.files()[rank::world_size]):
            self.update_doc_stats(document)
            yield document

    def ignore(self, member: Member) -> None:
        """Count a member that is not this reader's kind of file."""
        name = member.name.rsplit("/", 1)[-1]
        self.ignored["." + name.rsplit(".", 1)[-1] if "." in name else name] += 1

    def quarantine(self, file: str, error: Exception | str, record: str = "", hint: str = "") -> Quarantined:
        """Describe input that could not be read, in words for a person."""
        if isinstance(error, Exception):
            hint = hint or getattr(error, "hint", "") or ""
            plain = isinstance(error, files.Refused)
            message = str(error) if plain else f"{type(error).__name__}: {error}"
        else:
            message = error
        return Quarantined(self.source_name, file, record, message[:2000], hint)

    def _counter(self, size: int, parts: int) -> Callable[[int], None]:
        """Counts a part's share of the bytes of a file, where all parts take all of them."""
        taken = 0

        def count(more: int) -> None:
            nonlocal taken
            before, taken = taken, min(taken + more, size) if size else taken + more
            self.bytes_read += taken // parts - before // parts

        return count


def numbered(things: Iterable[_T], bits: int) -> Iterator[tuple[int, _T]]:
    """Number records or members, whose items have so many bits of a place.

    Raises:
        Refused: there are more of them than places. (Two are left, for what is told at the end.)
    """
    most = (1 << _PLACE_BITS - bits) - 2
    for number, thing in enumerate(things):
        if number == most:
            raise Refused(f"more than {most:,} records or members: the rest is not read", "split the file")
        yield number, thing
