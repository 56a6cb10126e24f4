"""What every reader shares: one fault never costs the rest, and nothing is read that was not asked for."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import pickle
import shutil
import socket
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from corpuskit import files
from corpuskit.files import Member, Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources import READERS, markup
from corpuskit.sources.base import Items, SourceReader
from corpuskit.sources.markup import Record

SAMPLES = Path(files.__file__).parent / "samples"


class XmlReader(SourceReader):
    """The smallest reader of XML: an article a record."""

    source = "xml"
    suffixes = (".xml",)

    def read(self, member: Member) -> Iterator[Items]:
        for record in markup.records(member.stream, "article"):
            yield self._item(member, record)

    def _item(self, member: Member, record: Record) -> Iterator[Article | Quarantined]:
        try:
            if record.error:
                raise Refused(record.error)
            text = markup.text(markup.parse(record))
        except Exception as error:
            yield self.quarantine(member.name, error, record=str(record.number))
        else:
            yield Article(text, "xml", member.name, record.number, paragraphs=[Paragraph(text)])


def xml(*texts: str, doctype: str = "") -> bytes:
    return f"{doctype}<set>{''.join(f'<article>{text}</article>' for text in texts)}</set>".encode()


def read(path: Path | str, **options: object) -> tuple[list[str], list[tuple[str, str]]]:
    """The ids of the articles, and of what is quarantined the file and the first words of the error."""
    found = [document.metadata for document in XmlReader(str(path), **options)()]
    articles = [metadata["article"].id for metadata in found if "article" in metadata]
    refused = [metadata["quarantined"] for metadata in found if "quarantined" in metadata]
    return articles, [(q.file, q.error) for q in refused]


class TestFaults:
    def test_every_fault_costs_only_what_it_touches(self, tmp_path: Path) -> None:
        (tmp_path / "a-vide.xml").write_bytes(b"")
        (tmp_path / "b-vide.xml.gz").write_bytes(b"")
        laughs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        (tmp_path / "c-rires.xml").write_bytes(xml("&e9;", "c", doctype=f'<!DOCTYPE set [<!ENTITY e0 "ha">{laughs}]>'))
        secret = '<!DOCTYPE set [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        (tmp_path / "d-externe.xml").write_bytes(xml("&x;", "d", doctype=secret))
        (tmp_path / "e-latin.xml").write_bytes(xml("e", "é").decode().encode("iso-8859-1"))
        (tmp_path / "f-bombe.xml.gz").write_bytes(gzip.compress(xml("f")) + gzip.compress(bytes(1 << 20)) * 300)
        with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
            archive.writestr("../../g.xml", xml("non"))
            archive.writestr("dedans.zip", b"PK\x03\x04")
            archive.writestr("g.xml", xml("g"))
        (tmp_path / "h-pas-xml.xml").write_bytes(os.urandom(5000))
        (tmp_path / "i.xml").symlink_to(tmp_path / "absent.xml")
        (tmp_path / "j.zip").write_bytes(b"PK\x03\x04 puis plus rien")
        (tmp_path / "z.xml").write_bytes(xml("z"))

        articles, refused = read(tmp_path)
        assert articles == ["c", "d", "e", "f", "g", "z"]
        starts = {
            ("a-vide.xml", "the file is empty"),
            ("b-vide.xml.gz", "the file is empty"),
            ("c-rires.xml", "Entity 'e9' is no character of HTML"),
            ("d-externe.xml", "Entity 'x' is no character of HTML"),
            ("e-latin.xml", "XMLSyntaxError: "),
            ("f-bombe.xml", "a decompression bomb: "),
            ("g.zip!/../../g.xml", "the member's name '../../g.xml' leaves the archive's folder"),
            ("g.zip!/dedans.zip", "an archive inside an archive"),
            ("h-pas-xml.xml", "no <article> in the file"),
            ("i.xml", "FileNotFoundError: "),
            ("j.zip", "the zip archive is cut off or damaged: "),
        }
        assert len(refused) == len(starts)
        assert all(any(file == f and error.startswith(e) for f, e in starts) for file, error in refused)

    @pytest.mark.parametrize(("compress", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2")])
    def test_whole_records_before_a_cut_come(self, tmp_path: Path, compress, suffix: str) -> None:  # type: ignore[no-untyped-def]
        texts = [f"{n} {os.urandom(100).hex()}" for n in range(10_000)]
        packed = compress(xml(*texts))
        (tmp_path / f"a.xml{suffix}").write_bytes(packed[: len(packed) * 3 // 4])
        (tmp_path / "b.xml").write_bytes(xml("b"))
        articles, ((file, error),) = read(tmp_path)
        assert articles[-1] == "b"
        assert articles[:-1] == texts[: len(articles) - 1]
        assert len(articles) > 4000
        assert (file, error.split(":")[0]) == ("a.xml", "the compressed data is cut off or damaged")

    def test_what_a_pipe_of_a_tar_loses_is_said(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
            for name in ("un", "deux", "trois"):
                info = tarfile.TarInfo(f"{name}.xml")
                info.size = len(xml(name))
                archive.addfile(info, io.BytesIO(xml(name)))
        whole = (tmp_path / "a.tar.gz").read_bytes()
        plain = gzip.decompress(whole)
        (tmp_path / "a.tar.gz").write_bytes(gzip.compress(plain[:1024]))
        articles, ((file, error),) = read(tmp_path)
        assert articles == ["un"]
        assert (file, error.split(":")[0]) == ("a.tar.gz", "the tar archive is cut off or damaged")

    def test_a_file_that_vanishes_costs_only_itself(self, tmp_path: Path) -> None:
        for name in "abc":
            (tmp_path / f"{name}.xml").write_bytes(xml(name))
        reader = XmlReader(str(tmp_path))
        shard = reader.files()
        (tmp_path / "b.xml").unlink()
        found = [document.metadata for document in reader.read_files(shard)]
        assert [m["article"].id if "article" in m else m["quarantined"].file for m in found] == ["a", "b.xml", "c"]

    def test_an_error_is_told_in_words(self) -> None:
        reader = XmlReader("x", name="mien")
        assert reader.quarantine("a.xml", Refused("trop long", "coupez-le"), "3") == Quarantined(
            "mien", "a.xml", "3", "trop long", "coupez-le"
        )
        assert reader.quarantine("a.xml", ValueError("x" * 5000)).error == "ValueError: " + "x" * 1988


class TestReading:
    def test_other_files_are_counted_not_read(self, tmp_path: Path) -> None:
        for name in ("a.xml", "b.XML", "LISEZMOI", "c.pdf", "d.pdf"):
            (tmp_path / name).write_bytes(xml(name))
        reader = XmlReader(str(tmp_path))
        assert [document.metadata["article"].id for document in reader()] == ["a.xml", "b.XML"]
        assert reader.ignored == Counter({".pdf": 2, "LISEZMOI": 1})

    def test_bytes_are_counted(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_bytes(xml("a"))
        (tmp_path / "b.xml.gz").write_bytes(gzip.compress(xml("b")))
        reader = XmlReader(str(tmp_path))
        list(reader())
        assert reader.bytes_read == sum(path.stat().st_size for path in tmp_path.iterdir())

    def test_a_limit_counts_articles(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_bytes(xml("un", "&faux;", "deux", "trois"))
        (tmp_path / "b.xml").write_bytes(xml("quatre"))
        assert read(tmp_path, limit=2)[0] == ["un", "deux"]
        assert read(tmp_path, limit=4)[0] == ["un", "deux", "trois", "quatre"]

    def test_tasks_share_the_files(self, tmp_path: Path) -> None:
        for name in "abcde":
            (tmp_path / f"{name}.xml").write_bytes(xml(name))
        shares = [
            [document.metadata["article"].id for document in XmlReader(str(tmp_path))(None, rank, 2)] for rank in (0, 1)
        ]
        assert shares == [["a", "c", "e"], ["b", "d"]]

    def test_documents_before_it_in_the_pipeline_pass(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_bytes(xml("a"))
        first = list(XmlReader(str(tmp_path))())
        both = list(XmlReader(str(tmp_path))(iter(first)))
        assert [document.id for document in both] == ["a", "a"]

    def test_a_name_that_cannot_be_in_an_id_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="name"):
            XmlReader("x", name="Mon corpus:1")


class TestEveryReader:
    @pytest.fixture(params=[name for name in READERS if (SAMPLES / name).is_dir()])
    def sample(self, request: pytest.FixtureRequest) -> SourceReader:
        return READERS[request.param](str(SAMPLES / request.param))

    def test_no_socket_is_opened_for_local_files(self, sample: SourceReader, monkeypatch: pytest.MonkeyPatch) -> None:
        list(type(sample)(sample.options.path, limit=1)())  # what is imported late is imported now

        class NoSocket(socket.socket):
            def __init__(self, *_: object, **__: object) -> None:
                raise AssertionError("a socket was opened")

        def no_lookup(*_: object, **__: object) -> None:
            raise AssertionError("a host was looked up")

        monkeypatch.setattr(socket, "socket", NoSocket)
        monkeypatch.setattr(socket, "getaddrinfo", no_lookup)
        found = [document.metadata for document in sample()]
        assert any("article" in metadata for metadata in found)
        errors = [metadata["quarantined"].error for metadata in found if "quarantined" in metadata]
        assert not any("socket" in error or "looked up" in error for error in errors)

    def test_ids_are_of_the_source_and_do_not_collide(self, sample: SourceReader) -> None:
        found = [document.metadata["article"] for document in sample() if "article" in document.metadata]
        texts = Counter(article.id for article in found if article.form == "fulltext")
        assert all(article.id.startswith(f"{sample.source}:") for article in found)
        assert [id for id, count in texts.items() if count > 1] == []

    def test_it_can_be_sent_to_a_worker(self, sample: SourceReader) -> None:
        assert pickle.loads(pickle.dumps(sample)).options == sample.options

    @pytest.mark.parametrize("name", list(READERS))
    def test_hostile_files_are_survived(self, tmp_path: Path, name: str) -> None:
        suffixes = READERS[name].suffixes
        for suffix in suffixes:
            (tmp_path / f"vide{suffix}").write_bytes(b"")
            (tmp_path / f"bruit{suffix}").write_bytes(os.urandom(3000))
            (tmp_path / f"zeros{suffix}").write_bytes(bytes(3000))
            (tmp_path / f"profond{suffix}").write_bytes(b"<a>" * 20_000 + b"[" * 20_000)
            (tmp_path / f"coupe{suffix}.gz").write_bytes(gzip.compress(os.urandom(3000))[:-500])
        found = [document.metadata for document in READERS[name](str(tmp_path))()]
        told = {metadata["quarantined"].file.split(".")[0] for metadata in found if "quarantined" in metadata}
        told |= {metadata["article"].file.split(".")[0] for metadata in found if "article" in metadata}
        assert told == {"vide", "bruit", "zeros", "profond", "coupe"}


class TestSlices:
    """Several tasks read one file, and together find what one does."""

    @pytest.mark.parametrize("kind", [kind for kind in READERS if kind not in ("parquet", "text")])
    @pytest.mark.parametrize("packing", ["plain", "gz", "zip", "tar"])
    def test_the_parts_of_a_file_are_the_file(self, kind: str, packing: str, tmp_path: Path) -> None:
        source = SAMPLES / kind
        if packing == "plain":
            path = source
        elif packing == "gz":
            path = tmp_path / "packed"
            path.mkdir()
            for file in source.rglob("*"):
                if file.is_file() and file.suffix != ".gz" and kind != "istex":
                    (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        elif packing == "zip":
            path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source))
        else:
            path = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", source))
        whole = READERS[kind](str(path)) if kind != "istex" or packing != "gz" else READERS[kind](str(source))
        for file in whole.files():
            expected = list(whole.read_slice(file))
            places = [place for place, _ in expected]
            assert places == sorted(set(places))
            assert all(0 <= place < 1 << 40 for place in places)
            for parts in (2, 3, 5):
                readers = [READERS[kind](whole.options.path) for _ in range(parts)]
                found = [pair for part, reader in enumerate(readers) for pair in reader.read_slice(file, part, parts)]
                assert sorted(found, key=lambda pair: pair[0]) == expected
                ignored: Counter[str] = sum((reader.ignored for reader in readers), Counter())
                one = READERS[kind](whole.options.path)
                list(one.read_slice(file))
                assert ignored == one.ignored

    @pytest.mark.parametrize("parts", [1, 2, 3, 4])
    def test_a_fault_is_told_by_one_part_at_one_place(self, parts: int, tmp_path: Path) -> None:
        whole = gzip.compress(xml(*(os.urandom(300).hex() for _ in range(40)), "&nope;", "fin"), mtime=0)
        (tmp_path / "a.xml.gz").write_bytes(whole[:-200])
        (file,) = XmlReader(str(tmp_path)).files()
        found = [pair for part in range(parts) for pair in XmlReader(str(tmp_path)).read_slice(file, part, parts)]
        refused = [(place, item.error) for place, item in found if isinstance(item, Quarantined)]
        assert len(refused) == 1
        assert refused[0][1].startswith("the compressed data is cut off")
        assert sorted(place >> 8 for place, _ in found) == list(range(len(found)))

    def test_a_part_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_bytes(xml("a"))
        (file,) = XmlReader(str(tmp_path)).files()
        with pytest.raises(ValueError, match="counted from 0"):
            list(XmlReader(str(tmp_path)).read_slice(file, 2, 2))
