"""What every reader shares: files in, articles and quarantined input out, one fault never costing the rest."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, cast

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.readers.base import BaseReader
from pydantic import Field

from corpuskit import files, steps
from corpuskit.files import InputFile, Member
from corpuskit.records import Article, Quarantined


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
    documents are spread over several members overrides :meth:`read_file`.

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

    def reads(self, name: str) -> bool:
        """Whether a member of that name is this reader's kind of file."""
        return name.lower().endswith(self.suffixes)

    @abstractmethod
    def read(self, member: Member) -> Iterator[Article | Quarantined]:
        """The articles of one stream. An exception quarantines the rest of this stream only."""

    def read_file(self, file: InputFile) -> Iterator[Article | Quarantined]:
        """The articles of one input file, plain, compressed or archive, in the order of the file."""
        try:
            for member in files.members(file, self._count_bytes):
                # What is packed and refused might have held this reader's files.
                packed = member.refused and member.name.lower().endswith(files.PACKED)
                if not self.reads(member.name) and not packed:
                    self.ignore(member)
                elif member.refused:
                    yield self.quarantine(member.name, member.refused)
                else:
                    yield from self._guarded(member)
        except Exception as error:
            yield self.quarantine(file.name, error)

    def _guarded(self, member: Member) -> Iterator[Article | Quarantined]:
        try:
            yield from self.read(member)
        except Exception as error:
            yield self.quarantine(member.name, error)

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

    def _count_bytes(self, count: int) -> None:
        self.bytes_read += count
