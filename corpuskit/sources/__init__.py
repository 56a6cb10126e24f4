"""One datatrove reader a source; this is the list of them."""

from corpuskit.sources.base import SourceReader
from corpuskit.sources.hal import HalReader
from corpuskit.sources.html import HtmlReader
from corpuskit.sources.istex import IstexReader
from corpuskit.sources.pubmed import PubmedReader
from corpuskit.sources.tabular import JsonlReader, ParquetReader, TextReader
from corpuskit.sources.wikipedia import WikipediaReader

READERS: dict[str, type[SourceReader]] = {
    reader.source: reader
    for reader in (
        IstexReader,
        HalReader,
        PubmedReader,
        WikipediaReader,
        HtmlReader,
        JsonlReader,
        ParquetReader,
        TextReader,
    )
}
