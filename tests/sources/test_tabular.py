"""The user's own corpora: rows and texts become articles, and a bad row costs only itself."""

from __future__ import annotations

import datetime
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit import files
from corpuskit.records import Article, Quarantined
from corpuskit.sources.base import SourceReader
from corpuskit.sources.tabular import JsonlReader, ParquetReader, TextReader, paragraphs


def read(reader: SourceReader) -> tuple[list[Article], list[Quarantined]]:
    found = [document.metadata for document in reader()]
    return (
        [metadata["article"] for metadata in found if "article" in metadata],
        [metadata["quarantined"] for metadata in found if "quarantined" in metadata],
    )


def write_lines(path: Path, *rows: Any) -> str:
    lines = [row if isinstance(row, str | bytes) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return str(path)


class TestColumns:
    def test_every_article_column_is_normalised(self, tmp_path: Path) -> None:
        path = write_lines(
            tmp_path / "cas.jsonl",
            {
                "id": "FR100003",
                "text": "Nous rapportons un cas.",
                "title": " Phlegmon  cervical ",
                "authors": [{"author": "Issam  Serghini"}, {"family": "Morel", "given": "Claire"}, "Aissaoui, Younés"],
                "publication_date": "2011-03-15",
                "journal": "The Pan African Medical Journal",
                "language": "fre",
                "licence": "CC BY 4.0",
                "type": "journal",
                "doi": "https://doi.org/10.11604/PAMJ.2011.8.25.392",
                "pmid": 21904615,
                "url": "https://example.org/8/25",
                "subjects": "ORL; infectiologie",
            },
        )
        (article,), refused = read(JsonlReader(path))
        assert not refused
        assert article.id == "jsonl:FR100003"
        assert article.title == "Phlegmon cervical"
        assert article.authors == ["Issam Serghini", "Morel, Claire", "Aissaoui, Younés"]
        assert (article.year, article.language, article.licence) == (2011, "fr", "CC-BY-4.0")
        assert (article.doi, article.pmid) == ("10.11604/pamj.2011.8.25.392", "21904615")
        assert (article.journal, article.document_type) == ("The Pan African Medical Journal", "journal")
        assert article.subjects == ["ORL", "infectiologie"]
        assert [(p.kind, p.text, p.path) for p in article.paragraphs] == [
            ("title", "Phlegmon cervical", "title"),
            ("body", "Nous rapportons un cas.", "char=0,23"),
        ]

    def test_their_names_become_ours(self, tmp_path: Path) -> None:
        row = {"contenu": "Le texte.", "text": "autre chose", "revue": "Revue", "title": "Rubrique", "journal": "x"}
        reader = JsonlReader(
            write_lines(tmp_path / "cas.jsonl", row),
            text_column="contenu",
            columns={"revue": "journal", "title": "document_type"},
        )
        (article,), _ = read(reader)
        assert (article.journal, article.document_type, article.title) == ("Revue", "Rubrique", "")
        assert [p.text for p in article.paragraphs] == ["Le texte."]

    def test_the_exact_name_wins_over_a_synonym(self, tmp_path: Path) -> None:
        path = write_lines(
            tmp_path / "cas.jsonl", {"text": "t", "date": "1999", "publication_date": "2000", "year": 2001}
        )
        assert read(JsonlReader(path))[0][0].year == 2001

    def test_nothing_is_none_nan_or_empty(self, tmp_path: Path) -> None:
        path = write_lines(
            tmp_path / "cas.jsonl", '{"text": "t", "id": NaN, "title": null, "journal": "", "pmid": 12.0}'
        )
        (article,), refused = read(JsonlReader(path))
        assert not refused
        assert (article.id, article.title, article.journal, article.pmid) == ("jsonl:cas-0", "", "", "12")
        assert len(article.paragraphs) == 1

    def test_an_unknown_target_is_explained(self) -> None:
        with pytest.raises(ValidationError, match="an article has no revue; it has text, id, title"):
            JsonlReader("x", columns={"a": "revue"})

    def test_ids_without_an_id_are_stable_and_of_their_folder(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            write_lines(tmp_path / folder / "cas.jsonl", {"text": "un"}, "", {"text": "deux"})
        found, _ = read(JsonlReader(str(tmp_path), name="chu"))
        assert [(a.id, a.record, a.source) for a in found] == [
            ("chu:a/cas-0", 0, "chu"),
            ("chu:a/cas-2", 2, "chu"),
            ("chu:b/cas-0", 0, "chu"),
            ("chu:b/cas-2", 2, "chu"),
        ]


class TestParagraphs:
    def test_a_blank_line_separates_and_a_line_break_is_a_space(self) -> None:
        text = "  Une toux\r\nproductive.\r\n \t\r\n\n Une fièvre. \n"
        assert [(p.text, p.path) for p in paragraphs(text)] == [
            ("Une toux productive.", "char=2,23"),
            ("Une fièvre.", "char=31,42"),
        ]

    def test_every_line_when_asked(self) -> None:
        assert [(p.text, p.path) for p in paragraphs("un\ndeux\n\ntrois", "line")] == [
            ("un", "char=0,2"),
            ("deux", "char=3,7"),
            ("trois", "char=9,14"),
        ]

    def test_half_of_a_wrongly_decoded_letter_is_kept(self) -> None:
        assert [p.text for p in paragraphs("Il est lÃ\xa0\n")] == ["Il est lÃ\xa0"]

    @given(st.text(alphabet="ab é\n\r\t\xa0"), st.sampled_from(["blank-line", "line"]))
    def test_paths_lead_back_to_the_text_and_leave_out_only_space(self, text: str, paragraph_break: str) -> None:
        end, between = 0, []
        for paragraph in paragraphs(text, paragraph_break):
            found = re.fullmatch(r"char=(\d+),(\d+)", paragraph.path)
            assert found
            start, stop = int(found[1]), int(found[2])
            assert re.sub(r"[ \n\r\t]+", " ", text[start:stop]) == paragraph.text
            between.append(text[end:start])
            end = stop
        assert not "".join([*between, text[end:]]).strip()


class TestJsonLines:
    def test_a_bad_row_costs_only_itself(self, tmp_path: Path) -> None:
        path = write_lines(
            tmp_path / "cas.jsonl",
            {"id": "1", "text": "Bon."},
            '{"id": "2", "text" "Sans deux-points."}',
            {"id": "3", "text": ["une", "liste"]},
            {"id": "4", "text": " \n "},
            '["5", "un tableau"]',
            b'{"id": "6", "text": "caf\xe9"}',
            {"id": "7", "text": "t", "authors": 7},
            {"id": "8", "contenu": "mal nommé"},
            "[" * 100_000,
            {"id": "9", "text": "Bon aussi."},
        )
        found, refused = read(JsonlReader(path))
        assert [article.id for article in found] == ["jsonl:1", "jsonl:9"]
        assert found[1].record == 9
        assert [(q.record, q.error) for q in refused[:-1]] == [
            ("1", "line 2, column 20: not JSON: Expecting ':' delimiter"),
            ("2", "column 'text' holds list, not text"),
            ("3", "the row has no text"),
            ("4", "a row is an object, not list"),
            ("5", "line 6, byte 24: not UTF-8"),
            ("6", "column 'authors' holds int, not a list, or text with semicolons"),
            ("7", "the row has no text; its columns are id, contenu"),
        ]
        assert refused[-1].error.startswith("line 9")

    def test_half_a_surrogate_pair_becomes_a_replacement_character(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "cas.jsonl", '{"id": "1", "text": "coupé \\ud83d ici", "title": "\\ude00"}')
        (article,), refused = read(JsonlReader(path))
        assert not refused
        assert [p.text for p in article.paragraphs] == ["\ufffd", "coupé \ufffd ici"]

    def test_a_byte_order_mark_and_a_missing_last_line_break(self, tmp_path: Path) -> None:
        (tmp_path / "cas.jsonl").write_bytes(b'\xef\xbb\xbf{"id": "1", "text": "a"}\n{"id": "2", "text": "b"}')
        assert [article.id for article in read(JsonlReader(str(tmp_path)))[0]] == ["jsonl:1", "jsonl:2"]

    def test_a_line_too_long_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_RECORD_BYTES", 1000)
        monkeypatch.setattr("corpuskit.sources.tabular._CHUNK", 100)
        long = {"id": "1", "text": "x" * 5000}
        path = write_lines(tmp_path / "cas.jsonl", {"id": "0", "text": "a"}, long, {"id": "2", "text": "b"})
        found, (refused,) = read(JsonlReader(path))
        assert [article.id for article in found] == ["jsonl:0", "jsonl:2"]
        assert (refused.record, refused.error) == ("1", "line 2 has 5,024 bytes, over the limit of 1,000")

    def test_utf_16_is_told_once(self, tmp_path: Path) -> None:
        (tmp_path / "cas.jsonl").write_text('{"text": "a"}\n' * 5, encoding="utf-16")
        found, (refused,) = read(JsonlReader(str(tmp_path)))
        assert not found
        assert refused.error == "UTF-16, but JSON is UTF-8 (RFC 8259)"


class TestJson:
    ROWS = ({"id": "1", "text": "un"}, {"id": "2", "text": "crochet ] et accolade }"}, {"id": "3", "text": "trois é"})

    @pytest.mark.parametrize(
        "content",
        [
            json.dumps(ROWS),
            json.dumps(ROWS, indent=2, ensure_ascii=False),
            "\n".join(map(json.dumps, ROWS)),
            "\n\n".join(json.dumps(row, indent=2) for row in ROWS),
            "\ufeff [" + ",".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "]\n",
        ],
        ids=["array", "indented array", "lines", "indented objects", "byte order mark"],
    )
    @pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
    def test_every_form(self, tmp_path: Path, content: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("corpuskit.sources.tabular._CHUNK", chunk)
        (tmp_path / "cas.json").write_text(content, encoding="utf-8")
        found, refused = read(JsonlReader(str(tmp_path)))
        assert not refused
        assert [(a.id, a.record, a.paragraphs[0].text) for a in found] == [
            ("jsonl:1", 0, "un"),
            ("jsonl:2", 1, "crochet ] et accolade }"),
            ("jsonl:3", 2, "trois é"),
        ]

    @pytest.mark.parametrize("end", ['{"id": "2", "text": "cou', "", "oui]"], ids=["object", "array", "nonsense"])
    def test_a_broken_array_gives_what_came_before(self, tmp_path: Path, end: str) -> None:
        (tmp_path / "cas.json").write_text('[{"id": "1", "text": "un"}, ' + end)
        found, (refused,) = read(JsonlReader(str(tmp_path)))
        assert [article.id for article in found] == ["jsonl:1"]
        assert refused.error.startswith("object 1: not JSON, too long, or cut off")

    def test_a_row_that_is_none_costs_only_itself(self, tmp_path: Path) -> None:
        (tmp_path / "cas.json").write_text('[{"id": "1", "text": "un"}, "deux", {"id": "3", "text": "trois"}]')
        found, (refused,) = read(JsonlReader(str(tmp_path)))
        assert [article.id for article in found] == ["jsonl:1", "jsonl:3"]
        assert (refused.record, refused.error) == ("1", "a row is an object, not str")


class TestParquet:
    def test_rows_with_their_types(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "id": pa.array([1, 2, None], pa.int64()),
                "text": ["Un.\n\nDeux.", None, "Trois."],
                "year": pa.array([2019.0, float("nan"), None]),
                "date": pa.array([datetime.date(2018, 5, 1)] * 3),
                "authors": [["Morel, Claire"], [], None],
                "embedding": [[0.1] * 8] * 3,
            }
        )
        pq.write_table(table, tmp_path / "cas.parquet")
        found, (refused,) = read(ParquetReader(str(tmp_path), columns={"date": "year"}))
        assert [(a.id, a.record, a.year, a.authors) for a in found] == [
            ("parquet:1", 0, 2018, ["Morel, Claire"]),
            ("parquet:cas-2", 2, 2018, []),
        ]
        assert [p.path for p in found[0].paragraphs] == ["char=0,3", "char=5,10"]
        assert (refused.record, refused.error) == ("1", "the row has no text")

    def test_numbers_run_on_over_batches_and_row_groups(self, tmp_path: Path) -> None:
        table = pa.table({"text": [f"Texte {n}." for n in range(1000)]})
        pq.write_table(table, tmp_path / "cas.parquet", row_group_size=300)
        found, _ = read(ParquetReader(str(tmp_path)))
        assert [(a.id, a.paragraphs[0].text) for a in found] == [
            (f"parquet:cas-{n}", f"Texte {n}.") for n in range(1000)
        ]

    def test_a_missing_text_column_is_told_once(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"contenu": ["a"] * 9, "n": [1] * 9}), tmp_path / "cas.parquet")
        assert read(ParquetReader(str(tmp_path)))[1][0].error == "there is no column 'text', only contenu, n"
        assert len(read(ParquetReader(str(tmp_path), text_column="contenu"))[0]) == 9

    def test_cut_off_or_packed_files_cost_only_themselves(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["Bon."]}), tmp_path / "c.parquet")
        whole = (tmp_path / "c.parquet").read_bytes()
        (tmp_path / "a.parquet").write_bytes(whole[:-9])
        (tmp_path / "b.parquet.gz").write_bytes(gzip.compress(whole))
        found, refused = read(ParquetReader(str(tmp_path)))
        assert [article.id for article in found] == ["parquet:c-0"]
        assert [q.file for q in refused] == ["a.parquet", "b.parquet"]
        assert (refused[1].error, refused[1].hint) == (
            "Parquet needs random access, which archives and compression take away",
            "unpack it",
        )


class TestText:
    def test_one_document_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "avis.txt").write_text("Un avis\ncoupé.\n\nSa suite.\n")
        (tmp_path / "large.txt").write_text("Élargi.", encoding="utf-16")
        found, _ = read(TextReader(str(tmp_path)))
        assert [(a.id, [p.text for p in a.paragraphs]) for a in found] == [
            ("text:avis", ["Un avis coupé.", "Sa suite."]),
            ("text:large", ["Élargi."]),
        ]

    def test_one_document_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "avis.txt").write_bytes("Un avis.\n\nUn autre é.\n".encode() + b"Perdu \xe9.\nDernier.")
        found, (refused,) = read(TextReader(str(tmp_path), unit="line"))
        assert [(a.id, a.paragraphs[0].text) for a in found] == [
            ("text:avis-0", "Un avis."),
            ("text:avis-2", "Un autre é."),
            ("text:avis-4", "Dernier."),
        ]
        assert (refused.record, refused.error, refused.hint) == (
            "3",
            "not utf-8: invalid continuation byte at byte 6",
            "set `encoding`",
        )

    def test_another_encoding(self, tmp_path: Path) -> None:
        (tmp_path / "avis.txt").write_bytes("œdème".encode("cp1252"))
        assert read(TextReader(str(tmp_path), encoding="windows-1252"))[0][0].paragraphs[0].text == "œdème"
        with pytest.raises(ValidationError, match="no such encoding"):
            TextReader(str(tmp_path), encoding="hex")
        _, (refused,) = read(TextReader(str(tmp_path), encoding="utf-16-be", unit="line"))
        assert refused.error == "UTF-16 cannot be cut into lines before it is decoded"


class TestRealData:
    def test_every_clinical_case_comes(self, real_data: Path) -> None:
        reader = JsonlReader(
            str(real_data / "e3c_ccby" / "pamj_fr.jsonl"), columns={"source": "journal"}, paragraph_break="line"
        )
        found, refused = read(reader)
        assert not refused
        assert len({article.id for article in found}) == len(found) == 1637
        assert sum(len(article.paragraphs) for article in found) == 4184
        assert {(a.journal, a.licence, a.language) for a in found} == {
            ("The Pan African Medical Journal", "CC-BY-4.0", "fr")
        }
        assert all(article.doi and article.year and article.authors for article in found)

    def test_a_json_array(self, real_data: Path) -> None:
        found, refused = read(JsonlReader(str(real_data / "frenchmedmcqa"), text_column="question"))
        assert (len(found), len(refused)) == (3105, 0)

    def test_texts_of_a_line(self, real_data: Path) -> None:
        found, refused = read(TextReader(str(real_data / "text_fr"), unit="line"))
        assert not refused
        per_file = {file: sum(a.file == file for a in found) for file in sorted({a.file for a in found})}
        assert per_file == {"anses_vet_spc.txt": 2542, "cnedimts.txt": 2103, "wikipedia_medical_fr.txt": 327}


def test_the_sample_holds_what_was_planted() -> None:
    samples = Path(files.__file__).parent / "samples"
    found, refused = read(JsonlReader(str(samples / "jsonl")))
    assert len(found) == 14
    assert [q.error.split(":")[0] for q in refused] == ["the row has no text", "line 12, column 222"]
    texts = [[p.text for p in article.paragraphs if p.kind == "body"] for article in found]
    assert [t.replace("amoxicilline 500 mg", "amoxicilline 1 000 mg") for t in texts[0]] == texts[1] != texts[0]
    assert texts[2][-1] == texts[3][-1]
    assert "Ã©" in texts[4][0]
    tests, _ = read(JsonlReader(str(samples / "testset")))
    assert [a.id for a in tests if a.paragraphs[0].text in texts[7]] == ["jsonl:ner-04"]
