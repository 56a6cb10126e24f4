"""Several tasks read one file side by side, and together find what one does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import files
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources import READERS, base, markup, tabular
from corpuskit.sources.base import Items, SourceReader

SAMPLES = Path(files.__file__).parent / "samples"
Pairs = list[tuple[int, Article | Quarantined]]


class LineReader(SourceReader):
    """An article a line, several where it says so; a line may break the reader, or the stream."""

    source = "lines"
    suffixes = (".txt",)

    def read(self, member: Member) -> Iterator[Items]:
        for number, line in enumerate(member.stream):
            if line.strip() == b"the end of it":
                raise Refused("nobody can read on")
            yield self._line(line.decode("ascii", "replace").strip(), member.name, number)

    def _line(self, line: str, file: str, number: int) -> Iterator[Article]:
        for at in range(int(line.removeprefix("several ")) if line.startswith("several ") else 1):
            if line == "broken" or at == 20:
                raise RuntimeError(line)
            yield Article(f"{line} {at}", "lines", file, number, paragraphs=[Paragraph(line)])


Make = Callable[..., SourceReader]


def shared(make: Make) -> dict[str, Pairs]:
    """What each file of a reader holds, after a check that any number of parts hold just that."""
    found = {}
    for file in make().files():
        alone = make()
        whole = found[file.name] = list(alone.read_slice(file))
        places = [place for place, _ in whole]
        assert places == sorted(set(places))
        assert all(0 <= place < 1 << 40 for place in places)
        assert [item for _, item in whole] == list(make().read_file(file))
        for parts in range(2, 6):
            readers = [make() for _ in range(parts)]
            slices = [list(reader.read_slice(file, part, parts)) for part, reader in enumerate(readers)]
            assert sorted((pair for pairs in slices for pair in pairs), key=lambda pair: pair[0]) == whole
            for pairs in slices:
                assert [place for place, _ in pairs] == sorted(place for place, _ in pairs)
            assert sum((reader.ignored for reader in readers), Counter()) == alone.ignored
            assert [reader.bytes_read for reader in readers] == [file.size // parts] * parts
    return found


def items(found: dict[str, Pairs]) -> tuple[list[Article], list[Quarantined]]:
    every = [item for pairs in found.values() for _, item in pairs]
    return [i for i in every if isinstance(i, Article)], [i for i in every if isinstance(i, Quarantined)]


def make_zip(path: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path.read_bytes()


def make_tar(path: Path, members: dict[str, bytes], mode: str) -> bytes:
    with tarfile.open(path, f"w:{mode}") as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path.read_bytes()


def pack(folder: Path, members: dict[str, bytes], packing: str) -> None:
    """Write files as they are, each compressed, each in a zip of its own, or all in one archive."""
    if packing == "zip":
        make_zip(folder / "a.zip", members)
    elif packing.startswith("tar"):
        make_tar(folder / f"a.{packing}", members, packing.removeprefix("tar").removeprefix("."))
    elif packing == "alone":
        for name, data in members.items():
            make_zip(folder / f"{name.replace('/', '-')}.zip", {name: data})
    else:
        compress = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[packing]
        for name, data in members.items():
            path = folder / (name if packing == "plain" else f"{name}.{packing}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(compress(data))


def sample(kind: str) -> dict[str, bytes]:
    found = sorted(path for path in (SAMPLES / kind).rglob("*") if path.is_file())
    # Web pages are slow to read.
    return {
        str(path.relative_to(SAMPLES / kind)): path.read_bytes() for path in (found[:3] if kind == "html" else found)
    }


def medline(pmid: object, title: str = "Titre.") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>{title}</ArticleTitle>"
        "</Article></MedlineCitation></PubmedArticle>"
    )


def page(number: int, text: str = "Un texte.") -> str:
    return f"<page><title>P{number}</title><ns>0</ns><id>{number}</id><revision><text>{text}</text></revision></page>"


ROWS = [{"id": f"r{n}", "text": f"Le texte numéro {n}.", "year": 2000 + n % 20} for n in range(23)]
LINES = [orjson.dumps(row) for row in ROWS]
#: For each reader, files that have what a part must not lose by passing over records.
MADE: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "pubmed": (
        {},
        {
            "latin.xml": (
                "<?xml version='1.0' encoding='ISO-8859-1'?><PubmedArticleSet>"
                + "".join(medline(n, "Été & fin" if n == 3 else f"Été {n}") for n in range(1, 9))
                + "<DeleteCitation>"
                + "".join(f"<PMID>{n}</PMID>" for n in range(100, 900))
                + "</DeleteCitation>"
                + medline(950, "Après")
                + "<DeleteCitation><PMID>&x;</PMID></DeleteCitation></PubmedArticleSet>"
            ).encode("latin-1"),
            "un.nxml": b"<article><front><article-meta><article-id pub-id-type='pmid'>7</article-id></article-meta>"
            b"</front><body><p>Un.</p></body></article>",
            "notes.pdf": b"%PDF",
        },
    ),
    "hal": (
        {"domains": []},
        {
            "export.xml": b"<TEI xmlns='http://www.tei-c.org/ns/1.0' xmlns:hal='http://hal'><text><body><listBibl>"
            + b"".join(
                b"<biblFull><titleStmt><title xml:lang='fr' hal:x='1'>T%d</title></titleStmt><publicationStmt>"
                b"<idno type='halId'>hal-%08d</idno></publicationStmt>%s</biblFull>" % (n, n, b"<p>" * (n == 4))
                for n in range(9)
            )
            + b"</listBibl></body></text>",  # cut off
            "rien.xml": b"<autre/>",
        },
    ),
    "wikipedia": (
        {"select": "all"},
        {
            "dump.xml": (
                "<mediawiki xml:lang='fr'><siteinfo><base>https://fr.wikipedia.org/wiki/P</base></siteinfo>"
                + "".join(page(n, "&nope;" if n == 2 else f"Texte {n}.") for n in range(11))
                + "<page>sans titre</page></mediawiki>"
            ).encode(),
            "sans-langue.xml": f"<mediawiki>{page(1)}</mediawiki>".encode(),
            "faux.xml": (
                f"<?xml version='1.0' encoding='nope'?><mediawiki xml:lang='fr'>{page(1)}{page(2)}</mediawiki>"
            ).encode(),
        },
    ),
    "jsonl": (
        {},
        {
            "lignes.jsonl": b"\n".join([*LINES[:4], b"", b"{non", b"[1]", *LINES[4:9], b'{"text": 3}', LINES[9]]),
            "tableau.json": b"[" + b",".join(LINES) + b"]",
            "rompu.json": b"[" + b",".join(LINES[:5]) + b", {rompu}, " + LINES[6] + b"]",
            "lignes.json": b"\n".join([*LINES[:5], b"{non", *LINES[6:8]]),
        },
    ),
    "text": (
        {"unit": "line"},
        {"a.txt": b"un\ndeux\n\n\xff\ntrois\nquatre\n", "b.txt": b"\xff\xfeu\0n\0", "c.md": b"non"},
    ),
}


class TestEveryReader:
    @pytest.mark.parametrize("packing", ["plain", "gz", "bz2", "alone", "zip", "tar", "tar.gz"])
    @pytest.mark.parametrize("kind", [name for name in READERS if (SAMPLES / name).is_dir()])
    def test_the_samples(self, kind: str, packing: str, tmp_path: Path) -> None:
        if kind == "istex" and packing in ("gz", "bz2", "alone"):
            pytest.skip("a document of ISTEX is several files")
        pack(tmp_path, sample(kind), packing)
        articles, _ = items(shared(lambda: READERS[kind](str(tmp_path))))
        plain = READERS[kind](str(SAMPLES / kind))
        if kind != "html":
            expected = Counter(
                item.id for file in plain.files() for item in plain.read_file(file) if hasattr(item, "id")
            )
            if kind != "hal" or packing in ("plain", "zip"):  # a full text takes its id from the name of its file
                assert Counter(article.id for article in articles) == expected
        assert articles

    @pytest.mark.parametrize("packing", ["plain", "gz", "xz", "alone", "zip", "tar.gz"])
    @pytest.mark.parametrize("kind", list(MADE))
    def test_what_a_part_passes_over_leaves_the_rest_as_it_is(self, kind: str, packing: str, tmp_path: Path) -> None:
        options, members = MADE[kind]
        pack(tmp_path, members, packing)
        articles, refused = items(shared(lambda: READERS[kind](str(tmp_path), **options)))
        counts = {"pubmed": (7 + 800 + 1 + 1, 2), "hal": (8, 3), "wikipedia": (10, 5), "jsonl": (45, 5), "text": (4, 2)}
        assert (len(articles), len(refused)) == counts[kind]

    def test_text_and_its_encoding(self, tmp_path: Path) -> None:
        pack(tmp_path, {"a.txt": b"Un.\n\nDeux.", "b.txt": b"\xff"}, "zip")
        articles, refused = items(shared(lambda: READERS["text"](str(tmp_path))))
        assert ([article.text for article in articles], [each.file for each in refused]) == (
            ["Un.\n\nDeux."],
            ["a.zip!/b.txt"],
        )

    def test_parquet(self, tmp_path: Path) -> None:
        # Nothing checks the bytes of a string until it is read.
        texts = [b"Texte %d." % n if n != 200 else b"\xff" for n in range(300)]
        column = pa.array(texts, pa.binary()).view(pa.string())
        table = pa.table({"id": [f"r{n}" for n in range(300)], "text": column})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=170)
        found = shared(lambda: READERS["parquet"](str(tmp_path)))
        articles, (refused,) = items(found)
        assert [article.id for article in articles] == [f"parquet:r{n}" for n in range(300) if n != 200]
        assert [article.record for article in articles] == [n for n in range(300) if n != 200]
        assert (refused.record, refused.error.split(":")[0]) == ("200", "UnicodeDecodeError")

    def test_the_members_of_a_document_are_in_one_part(self, tmp_path: Path) -> None:
        documents = {
            f"{name}/{name}{ending}": data
            for n, name in enumerate("ABCDEFG")
            for ending, data in {
                ".json": orjson.dumps({"arkIstex": f"ark:/{n}", "title": f"Titre {name}"}),
                ".txt": b"Le texte de ce document. " * 9,
                ".pdf": b"%PDF",
            }.items()
            if (name, ending) != ("C", ".json")
        }
        # One in two places, one compressed, one damaged, and what is no document.
        documents = {"manifest.json": b"{}"} | documents | {"dedans.zip": b"PK\x03\x04"}
        documents["D/D.txt.gz"] = gzip.compress(documents.pop("D/D.txt"))
        documents["E/E.json"] = b"{"
        kind = READERS["istex"]
        for packing in ("zip", "tar.gz"):
            folder = tmp_path / packing
            folder.mkdir()
            pack(folder, dict(sorted(documents.items())) | {"B/B.cleaned": b"tard"}, packing)
            articles, refused = items(shared(lambda folder=folder: kind(str(folder))))
            assert [article.title for article in articles] == [f"Titre {name}" for name in "ABDFG"]
            told = [each.file.partition("!/")[2] for each in refused]
            assert sorted(told) == ["B/B.cleaned", "C/C.json", "E/E.json", "dedans.zip"]

    @pytest.mark.parametrize("kind", ["istex", "hal", "pubmed", "wikipedia", "jsonl", "html"])
    def test_an_exception_in_one_record_costs_only_that(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def make() -> SourceReader:
            return READERS[kind](str(SAMPLES / kind))

        before = [item for pairs in shared(make).values() for _, item in pairs]
        ids = [item.id for item in before if isinstance(item, Article)]
        unlucky = next(id for id in ids[2:] if ids.count(id) == 1)
        method = "_select" if kind == "istex" else "_article"
        honest = getattr(READERS[kind], method)

        def faulty(self: SourceReader, *arguments: Any) -> Any:
            found = honest(self, *arguments)
            if (found or arguments[0].article).id == unlucky:
                raise ZeroDivisionError("a surprise")
            return found

        monkeypatch.setattr(READERS[kind], method, faulty)
        after = [item for pairs in shared(make).values() for _, item in pairs]
        assert len(after) == len(before)
        changed = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
        assert [was.id for was, _ in changed if isinstance(was, Article)] == [unlucky]
        assert [now.error for _, now in changed if isinstance(now, Quarantined)] == ["ZeroDivisionError: a surprise"]


class TestWork:
    """What falls to another part is not parsed, and not read where it need not be."""

    @pytest.mark.parametrize("kind", ["hal", "pubmed", "wikipedia", "jsonl"])
    def test_a_record_is_parsed_by_one_part(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        members = {
            "hal": {"a.xml": MADE["hal"][1]["export.xml"]},
            "pubmed": {"a.xml": f"<PubmedArticleSet>{''.join(map(medline, range(1, 9)))}</PubmedArticleSet>".encode()},
            "wikipedia": {"frwiki-a.xml": f"<mediawiki>{''.join(map(page, range(8)))}</mediawiki>".encode()},
            "jsonl": {"a.jsonl": b"\n".join(LINES[:8])},
        }[kind]
        pack(tmp_path, members, "plain")
        module, name = (tabular, "_json_row") if kind == "jsonl" else (markup, "parse")
        honest, calls = getattr(module, name), Counter[int]()

        def counted(*arguments: Any) -> Any:
            calls[part] += 1
            return honest(*arguments)

        monkeypatch.setattr(module, name, counted)
        (file,) = files.find(str(tmp_path))
        for part in range(4):
            list(READERS[kind](str(tmp_path), **MADE[kind][0]).read_slice(file, part, 4))
        assert calls == {0: 2 + (kind == "hal"), 1: 2, 2: 2, 3: 2}

    @pytest.mark.parametrize("kind", ["istex", "pubmed", "html"])
    def test_a_member_of_a_zip_is_opened_by_one_part(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        members = sample(kind)
        pack(tmp_path, members, "zip")
        opened: list[tuple[int, str]] = []
        honest = zipfile.ZipFile.open

        def told(self: zipfile.ZipFile, info: zipfile.ZipInfo, *arguments: Any, **options: Any) -> Any:
            opened.append((part, info.filename))
            return honest(self, info, *arguments, **options)

        monkeypatch.setattr(zipfile.ZipFile, "open", told)
        (file,) = files.find(str(tmp_path))
        for part in range(3):
            list(READERS[kind](str(tmp_path)).read_slice(file, part, 3))
        assert sorted(name for _, name in opened) == sorted(members)
        assert {part for part, _ in opened} == {0, 1, 2}
        if kind == "istex":
            parts_of: dict[str, set[int]] = {}
            for part, name in opened:
                parts_of.setdefault(name.partition("/")[0], set()).add(part)
            assert all(len(parts) == 1 for parts in parts_of.values())

    def test_files_beside_what_is_read_do_not_unbalance_it(self, tmp_path: Path) -> None:
        pack(tmp_path, {f"{n}.{end}": b"un" for n in range(6) for end in ("txt", "pdf", "jpg")}, "tar.gz")
        (file,) = files.find(str(tmp_path))
        found = [list(LineReader(str(tmp_path)).read_slice(file, part, 3)) for part in range(3)]
        assert [len(pairs) for pairs in found] == [2, 2, 2]

    def test_an_archive_of_one_file_is_shared_by_its_records(self, tmp_path: Path) -> None:
        pack(tmp_path, {"a.txt": b"un\n" * 30}, "zip")
        (file,) = files.find(str(tmp_path))
        found = [list(LineReader(str(tmp_path)).read_slice(file, part, 3)) for part in range(3)]
        assert [len(pairs) for pairs in found] == [10, 10, 10]


class TestPlaces:
    def test_they_are_those_of_records_and_members(self, tmp_path: Path) -> None:
        pack(tmp_path, {"a.txt": b"un\nseveral 3\nbroken\nthe end of it\n"}, "plain")
        pack(tmp_path, {"z.pdf": b"", "a.txt": b"un\nseveral 2\n", "b.txt": b"broken\n"}, "zip")
        found = shared(lambda: LineReader(str(tmp_path)))
        told = {
            name: [(place, item.id if isinstance(item, Article) else item.error) for place, item in pairs]
            for name, pairs in found.items()
        }
        assert told == {
            "a.txt": [
                (0, "un 0"),
                (1 << 8, "several 3 0"),
                (1 << 8 | 1, "several 3 1"),
                (1 << 8 | 2, "several 3 2"),
                (2 << 8, "RuntimeError: broken"),
                (3 << 8, "nobody can read on"),
            ],
            "a.zip": [
                (1 << 18, "un 0"),
                (1 << 18 | 1, "several 2 0"),
                (1 << 18 | 2, "several 2 1"),
                (2 << 18, "RuntimeError: broken"),
            ],
        }

    def test_more_articles_than_a_record_has_places_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base, "RECORD_BITS", 2)
        pack(tmp_path, {"a.txt": b"un\nseveral 4\nseveral 3\nseveral 9\nfin\n"}, "plain")
        articles, refused = items(shared(lambda: LineReader(str(tmp_path))))
        assert [article.record for article in articles] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
        assert [each.error for each in refused] == [
            "this record of the file holds more than 3 articles: the rest is not read"
        ] * 2

    def test_more_articles_than_a_member_has_places_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base, "MEMBER_BITS", 2)
        pack(tmp_path, {"a.txt": b"un\n" * 5, "b.txt": b"un\n" * 3, "c.txt": b"un\n"}, "tar.gz")
        articles, (refused,) = items(shared(lambda: LineReader(str(tmp_path))))
        assert [article.file[-5] for article in articles] == list("aaabbbc")
        assert (refused.file, refused.hint) == ("a.tar!/a.txt", "unpack the archive")

    @pytest.mark.parametrize("packing", ["plain", "zip", "tar.gz"])
    def test_more_records_than_there_are_places_for(
        self, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "MEMBER_BITS", base.RECORD_BITS)
        monkeypatch.setattr(base, "_PLACE_BITS", base.RECORD_BITS + 3)
        pack(tmp_path, {"a.txt": b"un\n" * 9} if packing == "plain" else {f"{n}.txt": b"un" for n in range(9)}, packing)
        articles, (refused,) = items(shared(lambda: LineReader(str(tmp_path))))
        assert (len(articles), refused.hint) == (6, "split the file")
        assert refused.error == "more than 6 records or members: the rest is not read"

    def test_a_part_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(b"un")
        (file,) = files.find(str(tmp_path))
        for part, parts in ((2, 2), (-1, 2), (0, 0)):
            with pytest.raises(ValueError, match="counted from 0"):
                list(LineReader(str(tmp_path)).read_slice(file, part, parts))


class TestFaults:
    """What is wrong with a stream is met by every part, and told by one."""

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_a_stream_that_is_cut_off(self, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
        packed = compress(b"".join(b"%d %s\n" % (n, os.urandom(200).hex().encode()) for n in range(9000)))
        (tmp_path / "a.txt.gz").write_bytes(packed[: len(packed) * 3 // 4])
        found = shared(lambda: LineReader(str(tmp_path)))
        articles, (refused,) = items(found)
        assert len(articles) > 2000
        assert refused.error.startswith("the compressed data is cut off or damaged")
        assert [place >> 8 for place, _ in found["a.txt.gz"]] == list(range(len(articles) + 1))

    def test_a_decompression_bomb(self, tmp_path: Path) -> None:
        bomb = gzip.compress(b"un\n") + gzip.compress((b" " * 1023 + b"\n") * 1024) * 200
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES[0] + b"\n") + bomb)
        # What was read of the archive before it must not excuse it.
        calm = {f"{n}.jsonl": os.urandom(600_000) for n in range(3)}
        pack(tmp_path, calm | {"b.jsonl.gz": bomb, "c.jsonl": LINES[1]}, "zip")
        articles, refused = items(shared(lambda: READERS["jsonl"](str(tmp_path))))
        assert [article.id for article in articles] == ["jsonl:r0", "jsonl:r1"]
        assert [each.file for each in refused if "bomb" in each.error] == ["a.jsonl", "a.zip!/b.jsonl"]

    def test_files_that_cannot_be_opened_or_hold_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").symlink_to(tmp_path / "absent")
        (tmp_path / "b.txt").write_bytes(b"")
        (tmp_path / "c.zip").write_bytes(b"PK\x03\x04 and no more")
        make_zip(tmp_path / "d.zip", {})
        _, refused = items(shared(lambda: LineReader(str(tmp_path))))
        assert [each.file for each in refused] == ["a.txt", "b.txt", "c.zip", "d.zip"]

    @settings(max_examples=150)
    @given(
        lines=st.lists(
            st.lists(st.sampled_from(["un", "deux", "", "broken", "several 3", "several 25", "é", "the end of it"])),
            min_size=1,
            max_size=9,
        ),
        packing=st.sampled_from(["plain", "gz", "bz2", "alone", "zip", "tar", "tar.gz"]),
        endings=st.lists(st.sampled_from([".txt", ".pdf", ".txt.gz", ".txt.bz2"]), min_size=9, max_size=9),
        cut=st.one_of(st.just(1.0), st.floats(0, 1)),
        flips=st.lists(st.floats(0, 1, exclude_max=True), max_size=2),
    )
    def test_anything(
        self, lines: list[list[str]], packing: str, endings: list[str], cut: float, flips: list[float]
    ) -> None:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress}
        members = {}
        for number, (each, ending) in enumerate(zip(lines, endings, strict=False)):
            data = "\n".join(each).encode()
            members[f"{number}{ending}"] = compress.get(ending[-4:].lstrip("t"), bytes)(data)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pack(folder, members, packing)
            for path in folder.iterdir():
                data = bytearray(path.read_bytes())
                for flip in flips if data else ():
                    data[int(flip * len(data))] ^= 0x55
                path.write_bytes(data[: round(cut * len(data))])
            shared(lambda: LineReader(str(folder)))

    @settings(max_examples=60)
    @given(
        kind=st.sampled_from(["pubmed", "hal", "wikipedia", "jsonl", "istex"]),
        packing=st.sampled_from(["plain", "gz", "zip", "tar"]),
        cut=st.one_of(st.just(1.0), st.floats(0, 1)),
        flips=st.lists(st.floats(0, 1, exclude_max=True), max_size=6),
    )
    def test_samples_that_are_damaged(self, kind: str, packing: str, cut: float, flips: list[float]) -> None:
        members = dict(list(sample(kind).items())[:12])
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pack(folder, members, packing if kind != "istex" or packing != "gz" else "tar.gz")
            for path in folder.rglob("*"):
                if path.is_file():
                    data = bytearray(path.read_bytes())
                    for flip in flips:
                        data[int(flip * len(data))] ^= 0x55
                    path.write_bytes(data[: round(cut * len(data))])
            shared(lambda: READERS[kind](str(folder)))


def test_real_dumps(real_data: Path) -> None:
    for kind, path in (("wikipedia", "wikipedia"), ("hal", "hal"), ("pubmed", "pubmed"), ("jsonl", "e3c_ccby")):
        articles, _ = items(shared(lambda kind=kind, path=path: READERS[kind](str(real_data / path))))
        assert articles
