"""XML cut into records: the right bytes at the right place, and nothing hostile ever reaches the parser."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import IO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from corpuskit.files import Refused
from corpuskit.sources import markup
from corpuskit.sources.markup import Record


class Trickle(io.RawIOBase):
    """A stream that gives the pieces it was made of, one a read, and may break at the end."""

    def __init__(self, pieces: Iterable[bytes], fault: Exception | None = None) -> None:
        self._pieces, self._left, self._fault = iter(pieces), b"", fault

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        self._left = self._left or next(self._pieces, b"")
        if not self._left and self._fault:
            raise self._fault
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def stream(data: bytes | Iterable[bytes], fault: Exception | None = None) -> IO[bytes]:
    pieces = [data] if isinstance(data, bytes) else data
    return cast(IO[bytes], io.BufferedReader(Trickle(pieces, fault)))


def cut(data: bytes, *tags: str, **options: int) -> list[Record]:
    return list(markup.records(stream(data), *(tags or ("article",)), **options))


def only(data: bytes) -> Record:
    (record,) = cut(data)
    return record


# Text that looks like tags, tags that begin like the record's, and nothing that closes it.
_INSIDE = st.text(alphabet="aé <>/&;\n", max_size=30).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;"))
_PIECES = st.lists(
    st.one_of(_INSIDE, st.sampled_from(["<p>un</p>", "<articles/>", "<art/>", "</articles>"])), max_size=6
)
_RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["<article>", "<article id='1'>", "<article\n>"]), _PIECES, st.sampled_from(["", " ", "\n"])
    ),
    min_size=1,
    max_size=8,
)


class TestRecords:
    @given(_RECORDS, st.text(alphabet=" \nx", max_size=300), st.integers(1, 64), st.randoms(use_true_random=False))
    def test_records_come_whole_wherever_the_stream_is_cut(self, parts, between, chunk, random) -> None:  # type: ignore[no-untyped-def]
        records = [f"{start}{''.join(inside)}</article{end}>".encode() for start, inside, end in parts]
        gap = between.encode()
        data = b"<?xml version='1.0'?><set>" + b"".join(gap + record for record in records) + gap + b"</set>"
        cuts = sorted(random.sample(range(len(data)), k=min(len(data) - 1, 40)))
        pieces = [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True) if i < j]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(markup, "_CHUNK", chunk)
            found = list(markup.records(stream(pieces), "article"))
        assert [record.data for record in found] == records
        assert [record.error for record in found] == [""] * len(records)
        assert [record.number for record in found] == list(range(len(records)))
        assert all(data[r.offset : r.offset + len(r.data)] == r.data for r in found)

    @given(st.lists(st.integers(1, 400), min_size=1, max_size=6), st.integers(1, 50))
    def test_records_over_the_limit_are_passed_over_alone(self, sizes: list[int], chunk: int) -> None:
        records = [b"<article n='%d'>%s</article>" % (n, b"x" * size) for n, size in enumerate(sizes)]
        data = b"<set>" + b"".join(records) + b"</set>"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(markup, "_CHUNK", chunk)
            found = [(r.offset, r.data, r.error) for r in markup.records(stream(data), "article", limit=200)]
        error = "<article> of {:,} bytes, over the limit of 200"
        assert found == [
            (data.index(record), record, "")
            if (size := len(record)) <= 200
            else (data.index(record), b"", error.format(size))
            for record in records
        ]

    def test_what_comes_before_a_break_in_the_stream_is_given(self) -> None:
        records = markup.records(stream(b"<set><article>un</article><article>de", OSError("gone")), "article")
        assert next(records).data == b"<article>un</article>"
        with pytest.raises(OSError, match="gone"):
            next(records)

    def test_a_record_that_is_not_closed_costs_only_itself(self) -> None:
        found = cut(b"<set><article>un<article>deux</article><article/><article>trois</article></set>")
        assert [(r.data, r.error) for r in found] == [
            (b"", "this <article> is not closed before the next one starts"),
            (b"<article>deux</article>", ""),
            (b"<article>trois</article>", ""),
        ]

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (b"<set></set>", "no <article> in the file"),
            (b"\0" * 100, "no <article> in the file"),
            (b"<set><article>un", "the file ends inside this <article>: it is cut off"),
            (b"<set><article>un</article", "the file ends inside this <article>: it is cut off"),
            (b"<set><article>un</article>\n", "the file ends before </set>: it is cut off"),
        ],
    )
    def test_what_is_missing_is_said(self, data: bytes, error: str) -> None:
        assert cut(data)[-1].error == error

    def test_a_200_mb_record_is_not_held_in_memory(self) -> None:
        def pieces() -> Iterator[bytes]:
            megabyte = b"x" * (1 << 20)
            yield b"<set><article>un</article><article><p>"
            for _ in range(200):
                yield megabyte
            yield b"</p></article><article>trois</article></set>"

        tracemalloc.start()
        try:
            found = [(r.number, r.offset, r.data, r.error) for r in markup.records(stream(pieces()), "article")]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == [
            (0, 5, b"<article>un</article>", ""),
            (1, 26, b"", "<article> of 209,715,226 bytes, over the limit of 67,108,864"),
            (2, 209_715_252, b"<article>trois</article>", ""),
        ]
        assert peak < 200 << 20


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
    def test_as_declared(self, encoding: str) -> None:
        data = f'<?xml version="1.0" encoding="{encoding}"?><set><article>œdème</article></set>'
        if encoding == "iso-8859-1":
            data = data.replace("œ", "&#339;")
        assert markup.text(markup.parse(only(data.encode(encoding)))) == "œdème"

    def test_a_byte_order_mark(self) -> None:
        assert markup.text(markup.parse(only("<set><article>été</article></set>".encode("utf-8-sig")))) == "été"

    def test_utf_8_that_says_it_is_utf_16(self) -> None:
        data = '<?xml version="1.0" encoding="utf-16"?><set><article>été</article></set>'.encode()
        assert markup.text(markup.parse(only(data))) == "été"

    def test_a_wrong_declaration_costs_only_the_records_it_is_wrong_for(self) -> None:
        data = '<?xml version="1.0" encoding="UTF-8"?><set><article>ete</article><article>été</article></set>'
        first, second = cut(data.encode("iso-8859-1"))
        assert markup.text(markup.parse(first)) == "ete"
        with pytest.raises(etree.XMLSyntaxError, match=r"not proper UTF-8|encoding"):
            markup.parse(second)

    def test_an_encoding_that_does_not_exist(self) -> None:
        with pytest.raises(LookupError, match="klingon"):
            markup.parse(only(b'<?xml version="1.0" encoding="klingon"?><set><article>un</article></set>'))


class TestEntities:
    BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))

    @pytest.mark.parametrize(
        ("subset", "reference"),
        [
            (f'<!ENTITY e0 "bombe">{BOMB}', "&e9;"),
            ('<!ENTITY e9 SYSTEM "file:///etc/passwd">', "&e9;"),
            ('<!ENTITY % d SYSTEM "http://localhost/d.dtd"> %d;', "&e9;"),
            ('<!ENTITY e9 "bombe">', "&e9;"),
        ],
        ids=["billion laughs", "external file", "external document type", "internal"],
    )
    def test_entities_of_the_document_type_are_never_expanded(self, subset: str, reference: str) -> None:
        data = f"<!DOCTYPE set [{subset}]><set><article>{reference}</article><article>deux</article></set>"
        first, second = cut(data.encode())
        with pytest.raises(Refused, match="Entity 'e9' is no character of HTML; what a file declares itself is never"):
            markup.parse(first)
        assert markup.text(markup.parse(second)) == "deux"

    def test_a_document_type_inside_a_record_is_refused(self) -> None:
        data = b'<set><article><!DOCTYPE p [<!ENTITY e "bombe">]><p>&e;</p></article></set>'
        with pytest.raises(etree.XMLSyntaxError):
            markup.parse(only(data))

    def test_an_inclusion_stays_what_it_is(self) -> None:
        include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
        root = markup.parse(only(f"<set><article>un {include} deux</article></set>".encode()))
        assert markup.text(root) == "un deux"

    def test_character_references_of_html_are_understood(self) -> None:
        data = b"<set><article>&eacute;t&eacute; &amp; &lt;hiver&gt; &nbsp;&oelig;</article></set>"
        assert markup.text(markup.parse(only(data))) == "été & <hiver> œ"


class TestTree:
    DATA = b"""<set xmlns="urn:a" xmlns:x="urn:x"><article x:id="1"><body>
      <sec><p>un <b>gras</b><note>en bas</note> fin</p>
      <x:p>autre</x:p><p>deux</p></sec><!-- rien --></body></article></set>"""

    def test_names_are_without_the_default_namespace(self) -> None:
        root = markup.parse(only(self.DATA))
        assert [markup.local_name(e) for e in root.iter()] == ["article", "body", "sec", "p", "b", "note", "p", "p"]
        assert root.get("{urn:x}id") == "1"

    def test_text_leaves_out_what_it_is_told_to(self) -> None:
        first = markup.parse(only(self.DATA)).find("body/sec/p")
        assert markup.text(first) == "un grasen bas fin"
        assert markup.text(first, skip={"note"}) == "un gras fin"
        assert markup.text(None) == ""

    def test_a_path_leads_back_to_its_element(self) -> None:
        root = markup.parse(only(self.DATA))
        for element in root.iter():
            assert markup.resolve(root, markup.path(element)) is element
        assert markup.path(root[0][0][2]) == "/article/body[1]/sec[1]/p[3]"


def test_exponents_become_raised_digits() -> None:
    element = etree.fromstring("<p>10<sup>9</sup>/L de Ca<sup>2+</sup>, le XIX<sup>e</sup> siècle, CO<sub>2</sub></p>")
    assert markup.text(element) == "10⁹/L de Ca²⁺, le XIXe siècle, CO2"
