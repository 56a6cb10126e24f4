"""The ISTEX reader: archives and folders, selection, where the text comes from, faults, the samples."""

from __future__ import annotations

import io
import json
import os
import random
import re
import tarfile
import unicodedata
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpuskit.files import Refused
from corpuskit.records import Article, Paragraph, Quarantined
from corpuskit.sources import markup
from corpuskit.sources.istex import IstexReader
from corpuskit.sources.istex.categories import BIOLOGY_AND_MEDICINE, Categories, levels
from corpuskit.sources.istex.encodings import decode
from corpuskit.sources.istex.names import family_first

A, B, C = (letter * 40 for letter in "ABC")
BODY = "La fièvre a cédé au troisième jour et l'enfant a pu regagner son domicile."
MORE = "Aucune rechute n'a été observée pendant les six mois de la surveillance."
ABSTRACT = "Nous rapportons le cas d'un enfant de six ans admis pour une fièvre prolongée d'origine inconnue."

Members = dict[str, bytes]


def describe(**fields: Any) -> bytes:
    return json.dumps(
        {"title": "Une fièvre prolongée", "language": ["fre"], "publicationDate": "2004"} | fields
    ).encode()


def document(own_id: str, description: bytes | None = None, **texts: str | bytes) -> Members:
    """The members of one document; ``tei_xml`` stands for the ending ``.tei.xml``."""
    members = {f"{own_id}/{own_id}.json": describe() if description is None else description}
    for kind, text in texts.items():
        data = text.encode() if isinstance(text, str) else text
        members[f"{own_id}/{own_id}.{kind.replace('_', '.')}"] = data
    return members


def tei(body: str, header: str = "") -> str:
    return (
        f'<?xml version="1.0"?><TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader>{header}</teiHeader>'
        f"<text><body>{body}</body></text></TEI>"
    )


def pack(folder: Path, how: str, members: Members) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if how == "folder":
        for name, data in members.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    elif how == "zip":
        with zipfile.ZipFile(folder / "istex-subset.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(folder / "istex-subset.tar.gz", "w:gz") as archive:
            for name, data in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return folder


def read(folder: Path, **options: Any) -> list[Article | Quarantined]:
    reader = IstexReader(str(folder), **options)
    return [item for file in reader.files() for item in reader.read_file(file)]


def read_one(tmp_path: Path, members: Members, **options: Any) -> Article:
    [article] = read(pack(tmp_path / "in", "folder", members), **options)
    assert isinstance(article, Article)
    return article


def apart(items: list[Article | Quarantined]) -> tuple[list[Article], list[Quarantined]]:
    articles = [item for item in items if isinstance(item, Article)]
    return articles, [item for item in items if isinstance(item, Quarantined)]


def summary(article: Article) -> list[tuple[str, str, str]]:
    return [(paragraph.kind, paragraph.path, paragraph.text) for paragraph in article.paragraphs]


def letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(c in rest for c in part)


class TestPackaging:
    MEMBERS = (
        {"manifest.json": b'{"query": {"q": "*"}}'}
        | document(A, describe(abstract=ABSTRACT), pdf=b"%PDF-1.4", txt=BODY)
        | document(B, describe(title="Sans texte", abstract=ABSTRACT), mods=b"<mods/>")
        | document(C, tei=tei(f"<p>{BODY}</p>"), txt="inutile")
    )

    @pytest.mark.parametrize("how", ["folder", "zip", "tar.gz"])
    def test_the_same_articles_whichever_way(self, tmp_path: Path, how: str) -> None:
        reader = IstexReader(str(pack(tmp_path / "in", how, self.MEMBERS)))
        articles, quarantined = apart([item for file in reader.files() for item in reader.read_file(file)])
        assert not quarantined
        assert [(article.id, article.form, summary(article)) for article in articles] == [
            (
                f"istex:{A}",
                "fulltext",
                [
                    ("title", "/title", "Une fièvre prolongée"),
                    ("abstract", "/abstract", ABSTRACT),
                    ("body", "char=0,74", BODY),
                ],
            ),
            (f"istex:{B}", "record", [("title", "/title", "Sans texte"), ("abstract", "/abstract", ABSTRACT)]),
            (
                f"istex:{C}",
                "fulltext",
                [("title", "/title", "Une fièvre prolongée"), ("body", "/TEI/text[1]/body[1]/p[1]", BODY)],
            ),
        ]
        prefix = {"folder": "", "zip": "istex-subset.zip!/", "tar.gz": "istex-subset.tar!/"}[how]
        assert articles[0].file == f"{prefix}{A}/{A}.json"
        assert [paragraph.file for paragraph in articles[0].paragraphs] == ["", "", f"{prefix}{A}/{A}.txt"]
        assert reader.ignored == {".json": 1, ".pdf": 1, ".mods": 1}
        assert reader.bytes_read >= sum(file.size for file in reader.files()) > 0

    def test_archives_and_unpacked_documents_side_by_side(self, tmp_path: Path) -> None:
        pack(tmp_path, "folder", document(A))
        pack(tmp_path, "zip", document(B))
        pack(tmp_path / "deep", "tar.gz", document(C))
        assert {item.id for item in apart(read(tmp_path))[0]} == {f"istex:{name}" for name in (A, B, C)}

    def test_an_unpacked_document_is_one_file_of_all_its_bytes(self, tmp_path: Path) -> None:
        pack(tmp_path, "folder", document(A, b"x" * 10, txt=b"y" * 200, cleaned=b"z" * 3000, pdf=b"%" * 50))
        found = [(file.name, file.size) for file in IstexReader(str(tmp_path)).files()]
        assert found == [(f"{A}/{A}.json", 3210), (f"{A}/{A}.pdf", 50)]

    def test_documents_without_folders_of_their_own(self, tmp_path: Path) -> None:
        for how in ("folder", "zip"):
            members = {name.partition("/")[2]: data for name, data in (document(A, txt=BODY) | document(B)).items()}
            articles, quarantined = apart(read(pack(tmp_path / how, how, members)))
            assert not quarantined
            assert [(item.id, len(item.paragraphs)) for item in articles] == [(f"istex:{A}", 2), (f"istex:{B}", 1)]

    def test_one_file_or_a_glob_finds_the_siblings(self, tmp_path: Path) -> None:
        pack(tmp_path, "folder", document(A, txt=BODY) | document(B))
        for path in (tmp_path / A / f"{A}.json", tmp_path / "A*" / "*.json", tmp_path / A / f"{A}.txt"):
            [article] = read(path)
            assert isinstance(article, Article)
            assert summary(article)[-1][2] == BODY

    def test_every_document_is_read_by_one_task(self, tmp_path: Path) -> None:
        pack(tmp_path, "folder", {k: v for i in range(7) for k, v in document(f"{i:040}", txt=BODY).items()})
        ids = [found.id for rank in range(3) for found in IstexReader(str(tmp_path)).run(rank=rank, world_size=3)]
        assert sorted(ids) == [f"istex:{i:040}" for i in range(7)]

    def test_a_json_by_itself(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, {f"{A}.json": describe(abstract=ABSTRACT)})
        assert (article.form, len(article.paragraphs)) == ("record", 2)


class TestDescription:
    def test_all_columns(self, tmp_path: Path) -> None:
        description = {
            "id": A,
            "corpusName": "elsevier",
            "arkIstex": "ark:/67375/6H6-1234ABCD-5",
            "doi": ["10.1016/S0248-8663(04)00001-X"],
            "pmid": ["15016495"],
            "title": "Le  foie\n et la fièvre",
            "author": [{"name": "Hélène Garnier", "affiliations": ["CHU"]}, {"name": "P. Durand"}, {"name": ""}],
            "publicationDate": "2004-03",
            "copyrightDate": "2003",
            "language": ["eng", "fre"],
            "genre": ["research-article"],
            "subject": [{"lang": ["fre"], "value": "Foie"}, {"value": "Fièvre"}],
            "host": {"title": "La revue", "issn": ["0248-8663"]},
            "categories": {"wos": ["1 - science", "2 - surgery"], "scopus": ["1 - Health Sciences ; 2 - Medicine"]},
            "fulltext": [{"extension": "pdf"}],
        }
        article = read_one(tmp_path, {"x/name.json": json.dumps(description).encode()})
        assert article.id == f"istex:{A}"
        assert (article.ark, article.doi, article.pmid) == (
            "ark:/67375/6H6-1234ABCD-5",
            "10.1016/s0248-8663(04)00001-x",
            "15016495",
        )
        assert article.title == "Le foie et la fièvre"
        assert article.authors == ["Garnier, Hélène", "Durand, P."]
        assert (article.year, article.journal, article.language) == (2004, "La revue", "fr")
        assert article.subjects == [
            "istex:science",
            "istex:surgery",
            "istex:Health Sciences",
            "istex:Medicine",
            "Foie",
            "Fièvre",
        ]
        assert (article.document_type, article.licence) == ("research-article", "")
        assert article.url == "https://api.istex.fr/ark:/67375/6H6-1234ABCD-5"

    def test_little_is_known(self, tmp_path: Path) -> None:
        description = {"host": {}, "title": None, "author": "?", "language": ["unknown"], "copyrightDate": 1999}
        article = read_one(tmp_path, document(A, json.dumps(description).encode()))
        assert (article.year, article.language, article.title, article.authors) == (1999, "", "", [])
        assert article.url == f"https://api.istex.fr/document/{A}"
        assert (article.drop, article.paragraphs) == (None, [])

    def test_a_lone_surrogate_can_be_written(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, document(A, rb'{"title": "Foie \ud800 et \u00e9t\u00e9"}'))
        assert article.title.encode() == "Foie ? et été".encode()

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("Hélène Garnier", "Garnier, Hélène"),
            ("Garnier, Hélène", "Garnier, Hélène"),
            ("Garnier ,Hélène", "Garnier, Hélène"),
            ("Jean-Paul MERCIER", "MERCIER, Jean-Paul"),
            ("DUVAL Agnès", "DUVAL, Agnès"),
            ("Jean LE GOFF", "LE GOFF, Jean"),
            ("M.-A. Thibault", "Thibault, M.-A."),
            ("M.-A Thibault", "Thibault, M.-A"),
            ("J P Durand", "Durand, J P"),
            ("Durand J.-P.", "Durand, J.-P."),
            ("Martin Dupont JB", "Martin Dupont, JB"),
            ("Sophie Van den Broek", "Van den Broek, Sophie"),
            ("Élise de Montbrun", "de Montbrun, Élise"),
            ("Ludwig van der Berg", "van der Berg, Ludwig"),
            ("Le Guen P", "Le Guen, P"),
            ("Philippe Le Guen", "Le Guen, Philippe"),
            ("MARIE CURIE", "CURIE, MARIE"),
            ("Platon", "Platon"),
            ("Groupe d'étude des fièvres", "Groupe d'étude des fièvres"),
        ],
    )
    def test_names(self, name: str, expected: str) -> None:
        assert family_first(name) == expected

    @given(st.lists(st.from_regex(r"[A-Za-zÀ-ÿ.'-]+", fullmatch=True), min_size=1, max_size=5))
    def test_no_part_of_a_name_is_lost(self, words: list[str]) -> None:
        assert sorted(family_first(" ".join(words)).replace(",", "").split()) == sorted(words)


class TestSelection:
    @pytest.mark.parametrize(
        ("options", "fields", "expected"),
        [
            ({}, {"publicationDate": "1990"}, None),
            ({}, {"publicationDate": "1989-12"}, ("year", "1989 is before 1990")),
            ({"min_year": 0}, {"publicationDate": "1850"}, None),
            ({}, {"publicationDate": "", "copyrightDate": ""}, None),
            ({"max_year": 2003}, {}, ("year", "2004 is after 2003")),
            ({"max_year": 2004}, {}, None),
            ({}, {"language": ["eng"]}, ("language", "declared en")),
            ({}, {"language": ["eng", "fre"]}, None),
            ({}, {"language": ["unknown"]}, None),
            ({}, {"language": []}, None),
            ({"languages": []}, {"language": ["ger"]}, None),
            ({"languages": ["deu", "eng"]}, {"language": ["ger"]}, None),
            ({"languages": ["en"]}, {}, ("language", "declared fr")),
            ({}, {"categories": {}}, None),
            ({"uncategorised": "drop"}, {"categories": {"wos": []}}, ("category", "none given")),
            ({"uncategorised": "drop", "categories": []}, {}, None),
            ({}, {"categories": {"inist": ["2 - physique"]}}, ("category", "physique")),
            ({"categories": []}, {"categories": {"inist": ["2 - physique"]}}, None),
            ({"categories": ["MÉDECINE$"]}, {"categories": {"inist": ["1 - medecine"]}}, None),
            ({"categories": [r"^\S+$"]}, {"categories": {"inist": ["1 - deux mots"]}}, ("category", "deux mots")),
        ],
    )
    def test_options(
        self, tmp_path: Path, options: dict[str, Any], fields: dict[str, Any], expected: tuple[str, str] | None
    ) -> None:
        article = read_one(tmp_path, document(A, describe(**fields), txt=BODY), **options)
        assert article.drop == (expected and ("select", *expected))
        assert bool(article.paragraphs) == (expected is None)

    @pytest.mark.parametrize(
        "category",
        [
            "1 - science ; 2 - medicine, general & internal",
            "2 - biochemistry & molecular biology",
            "2 - obstetrics & gynecology",
            "2 - public, environmental & occupational health",
            "2 - radiology, nuclear medicine & medical imaging",
            "1 - health sciences ; 2 - clinical medicine ; 3 - urology & nephrology",
            "1 - natural sciences ; 2 - biology ; 3 - zoology",
            "1 - Health Sciences",
            "2 - Medicine",
            "1 - Life Sciences ; 2 - Biochemistry, Genetics and Molecular Biology",
            "2 - sciences biologiques et médicales",
            "3 - sciences medicales",
            "3 - sciences biologiques fondamentales et appliquees. psychologie",
        ],
    )
    def test_biology_and_medicine(self, category: str) -> None:
        assert any(level in Categories(BIOLOGY_AND_MEDICINE) for level in levels([category]))

    @pytest.mark.parametrize(
        "category",
        [
            "1 - science ; 2 - physics, atomic, molecular & chemical",
            "1 - science ; 2 - multidisciplinary sciences",
            "1 - social science ; 2 - history & philosophy of science",
            "1 - applied sciences ; 2 - engineering ; 3 - mechanical engineering & transports",
            "1 - natural sciences ; 2 - physics & astronomy",
            "1 - Physical Sciences ; 2 - Materials Science",
            "1 - Social Sciences ; 2 - Arts and Humanities",
            "1 - sciences appliquees, technologies et medecines ; 2 - sciences exactes et technologie ; 3 - physique",
            "1 - sciences humaines et sociales ; 2 - linguistique",
        ],
    )
    def test_neither(self, category: str) -> None:
        assert not any(level in Categories(BIOLOGY_AND_MEDICINE) for level in levels([category]))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"languages": ["français"]}, "'français' is no language code; write 'fr' or 'fre'"),
            ({"categories": ["(medicine"]}, "'(medicine' is no regular expression"),
            ({"prefer": ["pdf"]}, "prefer"),
            ({"min_year": -1}, "min_year"),
            ({"years": 1990}, "years"),
        ],
    )
    def test_options_that_make_no_sense(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=re.escape(message)):
            IstexReader("anywhere", **options)


class TestText:
    @pytest.mark.parametrize(
        ("kinds", "prefer", "expected"),
        [
            (["tei", "cleaned", "txt"], ["tei", "cleaned", "txt"], "tei"),
            (["cleaned", "txt"], ["tei", "cleaned", "txt"], "cleaned"),
            (["txt"], ["tei", "cleaned", "txt"], "txt"),
            (["tei", "cleaned", "txt"], ["txt", "tei"], "txt"),
            (["cleaned"], ["txt", "tei"], None),
            (["tei", "cleaned", "txt"], [], None),
        ],
    )
    def test_which_file(self, tmp_path: Path, kinds: list[str], prefer: list[str], expected: str | None) -> None:
        texts = {"tei": tei(f"<p>{BODY}</p>"), "cleaned": BODY, "txt": BODY}
        article = read_one(tmp_path, document(A, **{kind: texts[kind] for kind in kinds}), prefer=prefer)
        text = [paragraph for paragraph in article.paragraphs if paragraph.kind == "body"]
        assert [paragraph.file for paragraph in text] == ([f"{A}/{A}.{expected}"] if expected else [])
        assert article.form == ("fulltext" if expected else "record")

    def test_the_ending_tei_xml(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, document(A, tei_xml=tei(f"<p>{BODY}</p>"), txt="inutile"))
        assert article.paragraphs[-1].file == f"{A}/{A}.tei.xml"

    def test_a_tei_that_is_only_a_header(self, tmp_path: Path) -> None:
        back = '</body><back><listBibl><bibl>Un livre</bibl></listBibl><div type="ack"><p>Merci.</p></div></back><body>'
        for number, body in enumerate(("", "<div/>", "<div><p/></div>", back)):
            article = read_one(tmp_path / str(number), document(A, tei=tei(body), txt=BODY))
            assert summary(article)[1:] == [("body", "char=0,74", BODY)]
            assert not article.skipped

    def test_a_tei_that_holds_the_lines_of_a_pdf(self, tmp_path: Path) -> None:
        lines = """L'intoxication par le plomb demeure fréquente chez les
enfants qui vivent dans un logement ancien. Le dé-
pistage repose sur la mesure de la plombémie, qui doit
être proposée à toute la fratrie dès le premier cas.

La prévention passe par la réfection des peintures et
par l'information des familles. Les pouvoirs publics
ont engagé un plan de réhabilitation des logements les
plus dégradés."""
        body = f'<div xml:id="d1"><p>{lines}</p></div>'
        article = read_one(tmp_path, document(A, tei=tei(body)))
        texts = [paragraph.text for paragraph in article.paragraphs if paragraph.kind == "body"]
        assert len(texts) == 2
        assert "Le dépistage repose sur la mesure de la plombémie" in texts[0]
        assert texts[1].startswith("La prévention passe")
        assert {p.path for p in article.paragraphs[1:]} == {"/TEI/text[1]/body[1]/div[1]/p[1]"}

    def test_line_breaks_of_a_tei_and_what_stands_beside_the_printed_text(self, tmp_path: Path) -> None:
        line = "Ce texte imprimé tient sur des lignes de même longueur"
        body = f"<div>{f'{line}<lb/>' * 12}fin du texte.</div><div><p>{MORE}</p></div>"
        article = read_one(tmp_path, document(A, tei=tei(body)))
        assert summary(article)[1:] == [
            ("body", "/TEI/text[1]/body[1]/div[1]", " ".join([line] * 12 + ["fin du texte."])),
            ("body", "/TEI/text[1]/body[1]/div[2]/p[1]", MORE),
        ]

    def test_a_structured_tei_is_not_taken_for_a_pdf(self, tmp_path: Path) -> None:
        wrapped = BODY.replace(" ", "\n")
        article = read_one(tmp_path, document(A, tei=tei(f"<p>{wrapped}</p>" * 3)))
        assert [text for _, _, text in summary(article)[1:]] == [BODY] * 3

    def test_what_stands_for_a_formula_is_counted(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, document(A, cleaned="La clairance _placeholder_formula_ était normale."))
        assert article.paragraphs[-1].text == "La clairance était normale."
        assert article.skipped == {"formula": 1}

    def test_an_abstract_is_not_given_twice(self, tmp_path: Path) -> None:
        abstract = ABSTRACT.replace("fièvre", "ﬁèvre").replace(" admis", "\nadmis")
        printed = f"Résumé\n{abstract}\n\nObservation\n\n{BODY}\n"
        article = read_one(tmp_path, document(A, describe(abstract=ABSTRACT), txt=printed))
        assert [(p.kind, p.path.partition("=")[0]) for p in article.paragraphs] == [
            ("title", "/title"),
            ("abstract", "char"),
            ("body", "char"),
        ]
        assert article.skipped["repeated abstract"] == 1

    def test_abstracts_of_a_tei_header(self, tmp_path: Path) -> None:
        english = "We report the case of a child of six admitted for a prolonged fever of unknown origin."
        header = (
            f'<profileDesc><abstract xml:lang="fr"><p>{ABSTRACT}</p></abstract>'
            f'<abstract xml:lang="en"><p>{english}</p></abstract></profileDesc>'
        )
        article = read_one(tmp_path, document(A, describe(abstract=ABSTRACT), tei=tei("", header), txt=BODY))
        assert [(p.kind, p.declared_language, p.text, p.file) for p in article.paragraphs[1:]] == [
            ("abstract", "fr", ABSTRACT, f"{A}/{A}.tei"),
            ("abstract", "en", english, f"{A}/{A}.tei"),
            ("body", "", BODY, f"{A}/{A}.txt"),
        ]
        assert article.skipped == {"repeated abstract": 1}

    def test_another_abstract_is_kept(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, document(A, describe(abstract=ABSTRACT), txt=f"Résumé\n\n{BODY}\n"))
        assert [p.text for p in article.paragraphs if p.kind == "abstract"] == [ABSTRACT, BODY]

    def test_the_title_is_not_given_twice(self, tmp_path: Path) -> None:
        printed = f"UNE FIÈVRE\nPROLONGÉE\n\nIntroduction\n\n{BODY}\n"
        article = read_one(tmp_path, document(A, txt=printed))
        assert [(p.kind, p.text) for p in article.paragraphs] == [("title", "Une fièvre prolongée"), ("body", BODY)]
        assert article.skipped["repeated title"] == 1


class TestEncodings:
    TEXT = f"{BODY}\n\n« {MORE} » – œdème, 37 °C…\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
    def test_read(self, encoding: str) -> None:
        assert decode(self.TEXT.encode(encoding)) == self.TEXT

    def test_latin_1(self) -> None:
        assert decode(f"{BODY} {MORE}".encode("latin-1")) == f"{BODY} {MORE}"

    @pytest.mark.parametrize(
        ("encoding", "name"),
        [("mac-roman", "MACINTOSH"), ("cp850", "CP850"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")],
    )
    def test_refused_with_its_name(self, encoding: str, name: str) -> None:
        with pytest.raises(Refused) as refused:
            decode(f"{BODY} {MORE}".encode(encoding))
        assert refused.value.hint == f"it looks like {name}; convert it with: iconv -f {name} -t UTF-8"

    def test_utf_8_with_a_few_broken_bytes(self) -> None:
        data = (f"{BODY} {MORE} " * 3).encode() + b"\xc3"
        with pytest.raises(Refused) as refused:
            decode(data)
        assert refused.value.hint.startswith("it is UTF-8 but for 1 byte;")

    @pytest.mark.parametrize("data", [bytes(range(128, 256)) * 9, b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256))])
    def test_no_text(self, data: bytes) -> None:
        with pytest.raises(Refused, match="neither UTF-8 nor Windows-1252"):
            decode(data)

    @given(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text and text[0] != "\ufeff"))
    def test_any_utf_8(self, text: str) -> None:
        assert decode(text.encode()) == text

    def test_a_text_in_latin_1(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, document(A, txt=BODY.encode("latin-1")))
        assert article.paragraphs[-1].text == BODY

    def test_a_refused_text_is_reported_and_the_next_read(self, tmp_path: Path) -> None:
        members = document(A, cleaned=BODY.encode("mac-roman"), txt=MORE)
        [article], [quarantined] = apart(read(pack(tmp_path, "zip", members)))
        assert summary(article)[-1][2] == MORE
        assert (quarantined.file, quarantined.record) == (f"istex-subset.zip!/{A}/{A}.cleaned", f"istex:{A}")
        assert "MACINTOSH" in quarantined.hint

    @pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
    def test_spans_are_those_of_the_file_opened_as_text(self, tmp_path: Path, line_end: str, encoding: str) -> None:
        text = f"{BODY}\n\n{MORE}\n".replace("\n", line_end)
        article = read_one(tmp_path, document(A, txt=text.encode(encoding)))
        opened = (tmp_path / "in" / article.paragraphs[-1].file).read_text(encoding=encoding)
        assert [opened[span(paragraph)] for paragraph in article.paragraphs[1:]] == [BODY, MORE]


def span(paragraph: Paragraph) -> slice:
    start, end = paragraph.path.removeprefix("char=").split(",")
    return slice(int(start), int(end))


class TestFaults:
    """One broken document costs nothing but itself, however the documents are packed."""

    def check(self, tmp_path: Path, members: Members, how: str = "zip", **options: Any) -> Quarantined:
        """Read the members between two good documents; what is quarantined."""
        members = document(A, txt=BODY) | members | document(C, txt=MORE)
        articles, [quarantined] = apart(read(pack(tmp_path / how, how, members), **options))
        assert (articles[0].id, summary(articles[0])[-1][2]) == (f"istex:{A}", BODY)
        assert (articles[-1].id, summary(articles[-1])[-1][2]) == (f"istex:{C}", MORE)
        assert quarantined.error
        assert quarantined.hint
        return quarantined

    @pytest.mark.parametrize("how", ["folder", "zip", "tar.gz"])
    @pytest.mark.parametrize(
        ("description", "error"),
        [
            (describe(abstract=ABSTRACT)[:60], "JSONDecodeError: "),
            (b"", "empty"),
            (b"  \n", "the file holds no text"),
            (b"<html>404</html>", "JSONDecodeError: "),
            (b"[1, 2]", "this JSON is no description of an ISTEX document"),
            (b'{"unitex": []}', "this JSON is no description of an ISTEX document"),
            (b"[" * 200_000, "RecursionError: "),
            ('{"title": "hépatite"}'.encode("cp850"), "neither UTF-8 nor Windows-1252"),
        ],
    )
    def test_json(self, tmp_path: Path, how: str, description: bytes, error: str) -> None:
        quarantined = self.check(tmp_path, document(B, description, txt=BODY), how)
        assert quarantined.file.endswith(f"{B}/{B}.json")
        assert quarantined.record == B
        assert error in quarantined.error

    @pytest.mark.parametrize("how", ["folder", "zip", "tar.gz"])
    def test_no_json(self, tmp_path: Path, how: str) -> None:
        quarantined = self.check(tmp_path, {f"{B}/{B}.tei": b"<TEI/>", f"{B}/{B}.txt": BODY.encode()}, how)
        assert quarantined.file.endswith(f"{B}/{B}.json")
        assert quarantined.error == "missing: there is nothing to say what the text beside it (.tei, .txt) is"

    @pytest.mark.parametrize("how", ["folder", "zip", "tar.gz"])
    @pytest.mark.parametrize(
        ("kind", "data", "error"),
        [
            ("txt", b"", "the file is empty"),
            ("txt", b" \n\f\n", "the file holds no text"),
            ("tei", b"<TEI><text><body><p>coup", "cut off"),
            ("tei", b"<TEI><text><body><p>a & b</p></body></text></TEI>", "XMLSyntaxError"),
            ("tei", tei("<p>caf\xe9</p>").encode("latin-1"), "XMLSyntaxError"),
            ("tei", b"<TEI><text/></TEI><TEI><text/></TEI>", "several <TEI>"),
            ("tei", b"<mods/>", "no <TEI> in the file"),
        ],
    )
    def test_text(self, tmp_path: Path, how: str, kind: str, data: bytes, error: str) -> None:
        other = "cleaned"
        members = document(B, **{kind: data, other: MORE})
        quarantined = self.check(tmp_path, members, how, prefer=[kind, other, "txt"])
        assert quarantined.file.endswith(f"{B}/{B}.{kind}")
        assert error in quarantined.error
        articles, _ = apart(read(tmp_path / how, prefer=[kind, other, "txt"]))
        assert [article.paragraphs[-1].text for article in articles] == [BODY, MORE, MORE]

    def test_text_without_another_to_take(self, tmp_path: Path) -> None:
        self.check(tmp_path, document(B, describe(abstract=ABSTRACT), txt=b""))
        article = apart(read(tmp_path / "zip"))[0][1]
        assert (article.form, [p.kind for p in article.paragraphs]) == ("record", ["title", "abstract"])

    def test_entities_of_a_tei_are_not_expanded(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("secret")
        bomb = f'<!DOCTYPE TEI [<!ENTITY a SYSTEM "{secret.as_uri()}"><!ENTITY b "&a;&a;">]>'
        text = f"{bomb}<TEI><text><body><p>Texte &b; &a;</p></body></text></TEI>"
        [article], quarantined = apart(read(pack(tmp_path / "in", "folder", document(A, tei=text, txt=BODY))))
        assert len(quarantined) == 1
        assert summary(article)[-1][2] == BODY

    @pytest.mark.parametrize("how", ["zip", "tar.gz"])
    def test_a_member_outside_the_archive(self, tmp_path: Path, how: str) -> None:
        quarantined = self.check(tmp_path, {f"../{B}/{B}.json": describe()}, how)
        assert "leaves the archive's folder" in quarantined.error

    @pytest.mark.parametrize("how", ["zip", "tar.gz"])
    def test_members_in_another_order(self, tmp_path: Path, how: str) -> None:
        members = dict(sorted(document(A, cleaned=BODY, txt=MORE, pdf=b"%PDF").items(), reverse=True))
        [article] = read(pack(tmp_path, how, members))
        assert isinstance(article, Article)
        assert summary(article)[-1][2] == BODY

    @pytest.mark.parametrize("how", ["zip", "tar.gz"])
    def test_a_document_in_two_pieces(self, tmp_path: Path, how: str) -> None:
        [json_name, txt_name] = document(B, txt=BODY)
        members = {json_name: describe()} | document(C) | {txt_name: BODY.encode()}
        articles, [quarantined] = apart(read(pack(tmp_path, how, members)))
        assert [(article.id, article.form) for article in articles] == [
            (f"istex:{B}", "record"),
            (f"istex:{C}", "record"),
        ]
        assert quarantined.file.endswith(f"!/{txt_name}")
        assert quarantined.error == "this member is apart from the others of its document, which were read without it"
        assert "pack it again sorted by name" in quarantined.hint

    def test_a_member_twice(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "twice.tar", "w") as archive:
            for data in (describe(), describe(title="Une autre")):
                entry = tarfile.TarInfo(f"{A}/{A}.json")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        [article], [quarantined] = apart(read(tmp_path))
        assert article.title == "Une fièvre prolongée"
        assert quarantined.file == f"twice.tar!/{A}/{A}.json"

    def test_a_cut_archive_gives_what_came_before(self, tmp_path: Path) -> None:
        noise = random.Random(1).randbytes(400_000).hex()
        members = document(A, txt=BODY) | document(B, cleaned=MORE, txt=noise) | document(C)
        archive = pack(tmp_path, "tar.gz", members) / "istex-subset.tar.gz"
        archive.write_bytes(archive.read_bytes()[:-150_000])
        articles, quarantined = apart(read(tmp_path))
        assert [(article.id, article.paragraphs[-1].text) for article in articles] == [
            (f"istex:{A}", BODY),
            (f"istex:{B}", MORE),
        ]
        assert quarantined[-1].file == "istex-subset.tar.gz"

    def test_a_damaged_member_of_a_zip(self, tmp_path: Path) -> None:
        archive = tmp_path / "damaged.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
            for name, data in (document(A, txt=BODY) | document(B, cleaned=MORE)).items():
                opened.writestr(name, data)
        archive.write_bytes(archive.read_bytes().replace(BODY.encode(), BODY.upper().encode()))
        articles, [quarantined] = apart(read(tmp_path))
        assert [article.form for article in articles] == ["record", "fulltext"]
        assert quarantined.file == f"damaged.zip!/{A}/{A}.txt"
        assert "CRC" in quarantined.error

    @pytest.mark.parametrize(("name", "data"), [("istex.zip", b"<html>"), ("istex.zip", b""), ("a.tar.gz", b"")])
    def test_an_archive_that_is_none(self, tmp_path: Path, name: str, data: bytes) -> None:
        pack(tmp_path, "folder", document(A))
        (tmp_path / name).write_bytes(data)
        [article], [quarantined] = apart(read(tmp_path))
        assert article.id == f"istex:{A}"
        assert quarantined.file == name

    def test_an_archive_in_an_archive(self, tmp_path: Path) -> None:
        inner = (pack(tmp_path / "inner", "zip", document(B)) / "istex-subset.zip").read_bytes()
        quarantined = self.check(tmp_path, {"inner.zip": inner})
        assert quarantined.error == "an archive inside an archive"

    def test_what_is_left_out_is_not_read(self, tmp_path: Path) -> None:
        [article] = read(pack(tmp_path, "folder", document(A, describe(publicationDate="1984"), txt=b"")))
        assert isinstance(article, Article)
        assert article.drop == ("select", "year", "1984 is before 1990")


SAMPLES = Path(str(files("corpuskit"))) / "samples" / "istex"


@pytest.fixture(scope="module")
def items() -> list[Article | Quarantined]:
    return read(SAMPLES)


class TestSamples:
    def test_what_becomes_of_each(self, items: list[Article | Quarantined]) -> None:
        articles, [quarantined] = apart(items)
        dropped = {article.drop.reason for article in articles if article.drop}
        assert (len(articles), dropped) == (11, {"year", "language", "category"})
        assert quarantined.error.startswith("JSONDecodeError")
        forms = [article.form for article in articles if article.drop is None]
        assert (forms.count("fulltext"), forms.count("record")) == (7, 1)

    def test_the_article_that_hal_has_too(self, items: list[Article | Quarantined]) -> None:
        [found] = [item for item in apart(items)[0] if item.title.startswith("Intoxication aiguë par la colchicine")]
        assert found.title == "Intoxication aiguë par la colchicine : à propos de deux observations"
        assert (found.year, found.authors[0], found.doi, found.form) == (2006, "Garnier, Hélène", "", "fulltext")

    def test_long_texts_are_put_back_into_paragraphs(self, items: list[Article | Quarantined]) -> None:
        [found] = [item for item in apart(items)[0] if item.title.startswith("Endocardite")]
        body = [paragraph.text for paragraph in found.paragraphs if paragraph.kind == "body"]
        assert len(body) == 13
        assert sum(len(text.split()) for text in body) > 700
        assert found.skipped == {
            "heading": 8,
            "running head": 5,
            "copyright": 1,
            "repeated title": 1,
            "repeated abstract": 1,
        }
        # Across a running head.
        assert any("chez 22 hommes et 12 femmes, trois patients ayant présenté une récidive." in text for text in body)
        assert not any(c in text for text in body for c in "ﬁﬂﬀﬃ")

    def test_every_span_holds_its_paragraph(self, items: list[Article | Quarantined]) -> None:
        checked = 0
        for article in apart(items)[0]:
            for paragraph in article.paragraphs:
                if paragraph.path.startswith("char="):
                    raw = (SAMPLES / paragraph.file).read_text(encoding="utf-8")[span(paragraph)]
                    assert is_subsequence(letters(paragraph.text), letters(raw)), paragraph
                    assert raw == raw.strip()
                    checked += 1
        assert checked > 60

    def test_every_xml_path_leads_to_its_paragraph(self, items: list[Article | Quarantined]) -> None:
        checked = 0
        for article in apart(items)[0]:
            for paragraph in article.paragraphs:
                if paragraph.file.endswith(".tei"):
                    with (SAMPLES / paragraph.file).open("rb") as stream:
                        [record] = markup.records(stream, "TEI")
                    element = markup.resolve(markup.parse(record), paragraph.path)
                    assert letters(paragraph.text) in letters(markup.text(element))
                    checked += 1
        assert checked > 10


@pytest.mark.parametrize(
    ("manifest", "days"),
    [
        (b'{"creationDate": "2026-11-02T09:30:00.000Z"}', ["2026-11-02"]),
        (b'{"creationDate": "yesterday"}', ["2025-01-31"]),
        (b'["no object"]', ["2025-01-31"]),
        (None, ["2025-01-31"]),
    ],
)
def test_the_day_is_that_of_the_extraction_or_else_of_the_files(
    tmp_path: Path, manifest: bytes | None, days: list[str]
) -> None:
    folder = pack(tmp_path, "folder", document(A, txt=BODY) | ({} if manifest is None else {"manifest.json": manifest}))
    for path in folder.rglob("*.*"):
        os.utime(path, (1738324800, 1738324800))
    reader = IstexReader(str(folder))
    assert reader.dates(reader.files()) == days
