"""The PubMed reader: MEDLINE records, the choice between them and full texts, faults, real files, the samples."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.records import Article, Quarantined
from corpuskit.sources import markup
from corpuskit.sources.pubmed import PubmedReader

JATS = """<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="case-report" xml:lang="fr"><front>
<article-meta><article-id pub-id-type="pmid">{0}</article-id>
<title-group><article-title>Cas {0}</article-title></title-group></article-meta></front>
<body><p>Un homme de 60 ans.</p></body></article>"""


def citation(pmid: str, article: str = "<ArticleTitle>A title.</ArticleTitle>", more: str = "", data: str = "") -> str:
    return (
        f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{pmid}</PMID><Article>{article}</Article>'
        f"{more}</MedlineCitation><PubmedData>{data}</PubmedData></PubmedArticle>\n"
    )


def record_set(*records: str) -> str:
    prolog = '<?xml version="1.0"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "none.dtd">\n'
    return f"{prolog}<PubmedArticleSet>\n{''.join(records)}</PubmedArticleSet>\n"


def read(folder: Path, **options: object) -> list[Article | Quarantined]:
    reader = PubmedReader(str(folder), **options)
    return [item for file in reader.files() for item in reader.read_file(file)]


def read_one(tmp_path: Path, article: str, more: str = "", data: str = "") -> Article:
    (tmp_path / "one.xml").write_text(record_set(citation("123", article, more, data)), encoding="utf-8")
    [found] = read(tmp_path)
    assert isinstance(found, Article)
    return found


def summary(article: Article) -> list[tuple[str, str, str, str]]:
    return [(p.kind, p.section, p.declared_language, p.text) for p in article.paragraphs]


class TestMedline:
    def test_metadata(self, tmp_path: Path) -> None:
        article = read_one(
            tmp_path,
            """<Journal><JournalIssue><PubDate><MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue>
            <Title>Annales du foie</Title></Journal>
            <ArticleTitle>[Iron and the liver].</ArticleTitle>
            <ELocationID EIdType="pii" ValidYN="Y">10.9999/pii</ELocationID>
            <Abstract><AbstractText>Text.</AbstractText>
            <CopyrightInformation>Copyright 1999 Annales.</CopyrightInformation></Abstract>
            <AuthorList><Author ValidYN="Y"><LastName>Durand</LastName><ForeName>Zoé</ForeName><Initials>Z</Initials>
            </Author><Author ValidYN="N"><LastName>Durant</LastName></Author>
            <Author><LastName>Ba</LastName><Initials>AM</Initials></Author>
            <Author><CollectiveName>Groupe Fer</CollectiveName></Author></AuthorList>
            <Language>fre</Language>
            <PublicationTypeList><PublicationType>Journal Article</PublicationType>
            <PublicationType>Research Support, Non-U.S. Gov't</PublicationType><PublicationType>Review</PublicationType>
            </PublicationTypeList>
            <VernacularTitle>Le fer et le foie.</VernacularTitle>""",
            """<MeshHeadingList><MeshHeading><DescriptorName>Iron</DescriptorName><QualifierName>blood</QualifierName>
            </MeshHeading></MeshHeadingList><KeywordList><Keyword>fer</Keyword><Keyword>foie</Keyword></KeywordList>""",
            """<ArticleIdList><ArticleId IdType="pubmed">123</ArticleId><ArticleId IdType="doi">10.1000/FER</ArticleId>
            <ArticleId IdType="pmc">PMC77</ArticleId></ArticleIdList>
            <ReferenceList><Reference><ArticleIdList><ArticleId IdType="pubmed">999</ArticleId>
            <ArticleId IdType="doi">10.1000/cited</ArticleId><ArticleId IdType="pmc">PMC99</ArticleId></ArticleIdList>
            </Reference><ReferenceList><Reference/><Reference/></ReferenceList></ReferenceList>""",
        )
        assert (article.id, article.form, article.record) == ("pubmed:123", "record", 0)
        assert (article.pmid, article.doi, article.pmcid) == ("123", "10.1000/fer", "PMC77")
        assert (article.title, article.other_titles) == ("Iron and the liver", ["Le fer et le foie."])
        assert article.authors == ["Durand, Zoé", "Ba, AM", "Groupe Fer"]
        assert (article.year, article.journal, article.language) == (1998, "Annales du foie", "fr")
        assert article.subjects == ["mesh:Iron", "fer", "foie"]
        assert (article.document_type, article.licence) == ("Review", "")
        assert article.url == "https://pubmed.ncbi.nlm.nih.gov/123/"
        assert article.skipped == {"reference": 3}

    def test_titles_and_abstracts_in_two_languages(self, tmp_path: Path) -> None:
        article = read_one(
            tmp_path,
            """<ArticleTitle>[Fever].</ArticleTitle><Abstract>
            <AbstractText Label="BACKGROUND &amp; AIMS" NlmCategory="BACKGROUND">Fever is frequent.</AbstractText>
            <AbstractText Label="UNASSIGNED">Ask first.</AbstractText></Abstract><Language>fre</Language>
            <VernacularTitle>La fièvre.</VernacularTitle>""",
            """<OtherAbstract Type="Publisher" Language="spa"><AbstractText>La fiebre.</AbstractText></OtherAbstract>
            <OtherAbstract Type="Publisher" Language="fre"><AbstractText Label="RÉSUMÉ">La fièvre est fréquente.
            </AbstractText><AbstractText Label="Ce qu'il faut retenir">Rien.</AbstractText></OtherAbstract>""",
        )
        assert summary(article) == [
            ("title", "", "en", "Fever"),
            ("title", "", "fr", "La fièvre."),
            ("abstract", "Background & aims", "", "Fever is frequent."),
            ("abstract", "", "", "Ask first."),
            ("abstract", "", "es", "La fiebre."),
            ("abstract", "Résumé", "fr", "La fièvre est fréquente."),
            ("abstract", "Ce qu'il faut retenir", "fr", "Rien."),
        ]
        assert article.paragraphs[-1].path == "/PubmedArticle/MedlineCitation[1]/OtherAbstract[2]/AbstractText[2]"

    @pytest.mark.parametrize(
        ("title", "text", "language"),
        [
            ("[Translated title].", "Translated title", "en"),
            ("[Translated title]", "Translated title", "en"),
            ("[Old title (author's transl)].", "Old title", "en"),
            ("[Uptake of [18F]FDG in gliomas].", "Uptake of [18F]FDG in gliomas", "en"),
            ("[18F]FDG and [11C].", "[18F]FDG and [11C].", ""),
            ("A title.", "A title.", ""),
            ("The <i>TERT</i> gene, CO<sub>2</sub>.", "The TERT gene, CO2.", ""),
        ],
    )
    def test_brackets_of_translated_titles(self, tmp_path: Path, title: str, text: str, language: str) -> None:
        article = read_one(tmp_path, f"<ArticleTitle>{title}</ArticleTitle>")
        assert summary(article) == [("title", "", language, text)]
        assert article.title == text

    def test_placeholders_are_no_text(self, tmp_path: Path) -> None:
        article = read_one(
            tmp_path,
            """<ArticleTitle>[Not Available].</ArticleTitle><Language>fre</Language>
            <VernacularTitle>Soigner à domicile.</VernacularTitle>""",
            """<OtherAbstract Language="fre"><AbstractText>Abstract available from the publisher.</AbstractText>
            </OtherAbstract>""",
        )
        assert summary(article) == [("title", "", "fr", "Soigner à domicile.")]
        assert (article.title, article.other_titles) == ("Soigner à domicile.", [])
        assert article.skipped == {"placeholder": 2}

    def test_formulas_are_left_out_and_counted(self, tmp_path: Path) -> None:
        math = '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mi>V</mml:mi><mml:mtext>x</mml:mtext></mml:math>'
        article = read_one(tmp_path, f"<Abstract><AbstractText>A {math} of <b>5</b> L.</AbstractText></Abstract>")
        assert summary(article) == [("abstract", "", "", "A of 5 L.")]
        assert article.skipped == {"formula": 1}

    def test_a_record_without_text_is_still_a_record(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, "<ArticleTitle/><Language>und</Language>")
        assert (article.id, article.paragraphs, article.language, article.drop) == ("pubmed:123", [], "", None)

    @pytest.mark.parametrize(
        ("types", "expected"),
        [
            (["Case Reports", "English Abstract", "Journal Article"], "Case Reports"),
            (["Comparative Study", "Journal Article", "Randomized Controlled Trial"], "Randomized Controlled Trial"),
            (["Comment", "Letter"], "Letter"),
            (["English Abstract", "Journal Article", "Research Support, N.I.H., Extramural"], "Journal Article"),
            ([], ""),
        ],
    )
    def test_the_most_telling_type(self, tmp_path: Path, types: list[str], expected: str) -> None:
        listed = "".join(f"<PublicationType>{name}</PublicationType>" for name in types)
        article = read_one(tmp_path, f"<PublicationTypeList>{listed}</PublicationTypeList>")
        assert article.document_type == expected

    @pytest.mark.parametrize(
        ("dates", "expected"),
        [
            ("<PubDate><Year>2001</Year></PubDate>", 2001),
            ("<PubDate><Season>Spring</Season></PubDate>", 2010),
            ("<PubDate><MedlineDate>Winter 1987-1988</MedlineDate></PubDate>", 1987),
        ],
    )
    def test_year(self, tmp_path: Path, dates: str, expected: int) -> None:
        article = read_one(
            tmp_path,
            f"<Journal><JournalIssue>{dates}</JournalIssue></Journal><ArticleDate><Year>2010</Year></ArticleDate>",
        )
        assert article.year == expected

    def test_the_doi_may_be_an_electronic_location(self, tmp_path: Path) -> None:
        article = read_one(
            tmp_path,
            '<ELocationID EIdType="doi" ValidYN="N">10.1000/wrong</ELocationID>'
            '<ELocationID EIdType="doi" ValidYN="Y">10.1000/right</ELocationID>',
        )
        assert article.doi == "10.1000/right"

    def test_the_language_of_a_vernacular_title_is_not_english(self, tmp_path: Path) -> None:
        article = read_one(
            tmp_path,
            "<ArticleTitle>Health.</ArticleTitle><Language>eng</Language><Language>fre</Language>"
            "<VernacularTitle>La santé.</VernacularTitle>",
        )
        assert article.language == "en"
        assert summary(article)[1] == ("title", "", "fr", "La santé.")

    def test_a_chapter_of_a_book(self, tmp_path: Path) -> None:
        chapter = """<PubmedBookArticle><BookDocument><PMID Version="1">20301295</PMID><ArticleIdList>
            <ArticleId IdType="bookaccession">NBK1</ArticleId><ArticleId IdType="doi">10.1000/book</ArticleId>
            </ArticleIdList><Book><BookTitle>GeneReviews</BookTitle><PubDate><Year>1993</Year></PubDate></Book>
            <ArticleTitle book="gene" part="x">A Syndrome</ArticleTitle><Language>eng</Language>
            <AuthorList Type="authors"><Author><LastName>Roy</LastName><ForeName>Ann</ForeName></Author></AuthorList>
            <PublicationType>Review</PublicationType>
            <Abstract><AbstractText Label="CLINICAL CHARACTERISTICS">Fever.</AbstractText></Abstract>
            </BookDocument><PubmedBookData/></PubmedBookArticle>"""
        (tmp_path / "book.xml").write_text(record_set(chapter), encoding="utf-8")
        [article] = read(tmp_path)
        assert isinstance(article, Article)
        assert (article.id, article.doi, article.journal, article.year) == (
            "pubmed:20301295",
            "10.1000/book",
            "GeneReviews",
            1993,
        )
        assert (article.authors, article.document_type) == (["Roy, Ann"], "Review")
        assert summary(article) == [
            ("title", "", "", "A Syndrome"),
            ("abstract", "Clinical characteristics", "", "Fever."),
        ]
        assert article.paragraphs[1].path == "/PubmedBookArticle/BookDocument[1]/Abstract[1]/AbstractText[1]"

    def test_deleted_records_are_told(self, tmp_path: Path) -> None:
        deletion = "<DeleteCitation><PMID Version='1'>7</PMID><PMID Version='1'>8</PMID></DeleteCitation>"
        (tmp_path / "update.xml").write_text(record_set(citation("6"), deletion), encoding="utf-8")
        first, *deleted = read(tmp_path)
        assert isinstance(first, Article)
        assert first.drop is None
        assert [(article.id, article.drop.stage, article.drop.reason) for article in deleted] == [
            ("pubmed:7", "select", "deleted"),
            ("pubmed:8", "select", "deleted"),
        ]


class TestFormats:
    def test_records_and_full_texts_side_by_side(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text(record_set(citation("5")), encoding="utf-8")
        (tmp_path / "b.nxml").write_text(JATS.format("5"), encoding="utf-8")
        (tmp_path / "notes.txt").write_text("rien", encoding="utf-8")
        assert [(item.id, item.form) for item in read(tmp_path)] == [("pubmed:5", "record"), ("pubmed:5", "fulltext")]

    def test_several_full_texts_in_one_file(self, tmp_path: Path) -> None:
        articles = "".join(JATS.format(pmid) for pmid in (1, 2, 3))
        (tmp_path / "set.xml").write_text(f"<pmc-articleset>{articles}</pmc-articleset>", encoding="utf-8")
        assert [(item.id, item.record) for item in read(tmp_path)] == [
            ("pubmed:1", 0),
            ("pubmed:2", 1),
            ("pubmed:3", 2),
        ]

    def test_a_default_namespace(self, tmp_path: Path) -> None:
        harvested = JATS.format("4").replace(
            "<article ", '<article xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/" '
        )
        wrapped = f"<OAI-PMH><record><metadata>{harvested}</metadata></record></OAI-PMH>"
        (tmp_path / "oai.xml").write_text(wrapped, encoding="utf-8")
        [article] = read(tmp_path)
        assert summary(article)[-1] == ("body", "", "", "Un homme de 60 ans.")
        assert article.paragraphs[-1].path == "/article/body[1]/p[1]"

    def test_archives(self, tmp_path: Path) -> None:
        source = tmp_path / "PMC1.nxml"
        source.write_text(JATS.format("9"), encoding="utf-8")
        with tarfile.open(tmp_path / "package.tar.gz", "w:gz") as archive:
            archive.add(source, "PMC1/PMC1.nxml")
        with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
            archive.write(source, "PMC1/PMC1.nxml")
        (tmp_path / "medline.xml.gz").write_bytes(gzip.compress(record_set(citation("3")).encode()))
        assert [(item.file, item.id) for item in read(tmp_path)] == [
            ("PMC1.nxml", "pubmed:9"),
            ("medline.xml", "pubmed:3"),
            ("package.tar!/PMC1/PMC1.nxml", "pubmed:9"),
            ("package.zip!/PMC1/PMC1.nxml", "pubmed:9"),
        ]

    def test_the_source_name_is_in_the_ids(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text(record_set(citation("5")), encoding="utf-8")
        (tmp_path / "b.xml").write_text(JATS.format("6"), encoding="utf-8")
        assert [(item.id, item.source) for item in read(tmp_path, name="pmc")] == [("pmc:5", "pmc"), ("pmc:6", "pmc")]


class TestOptions:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        def dated(year: int, kind: str, language: str, more: str = "") -> str:
            article = (
                f"<Journal><JournalIssue><PubDate><Year>{year}</Year></PubDate></JournalIssue></Journal>"
                f"<ArticleTitle>Title.</ArticleTitle><Language>{language}</Language>"
                f"<PublicationTypeList><PublicationType>{kind}</PublicationType></PublicationTypeList>"
            )
            return citation(str(year), article, more)

        other = '<OtherAbstract Language="fre"><AbstractText>Un.</AbstractText></OtherAbstract>'
        records = [
            dated(1985, "Review", "fre"),
            dated(1990, "Case Reports", "eng"),
            dated(2000, "Review", "eng", other),
        ]
        (tmp_path / "a.xml").write_text(record_set(*records), encoding="utf-8")
        (tmp_path / "b.nxml").write_text(JATS.format("77").replace(' xml:lang="fr"', ""), encoding="utf-8")
        return tmp_path

    @pytest.mark.parametrize(
        ("options", "left_out"),
        [
            ({}, {}),
            ({"min_year": 1990}, {"pubmed:1985": ("year", "1985 is before 1990")}),
            (
                {"document_types": ["case-report"]},
                {
                    "pubmed:1985": ("document_type", "Review"),
                    "pubmed:2000": ("document_type", "Review"),
                },
            ),
            ({"languages": ["fre"]}, {"pubmed:1990": ("language", "declared en")}),
        ],
    )
    def test_what_the_options_leave_out_is_marked(
        self, folder: Path, options: dict[str, object], left_out: dict[str, tuple[str, str]]
    ) -> None:
        articles = read(folder, **options)
        assert len(articles) == 4
        marked = [article for article in articles if article.drop]
        assert {article.id: (article.drop.reason, article.drop.detail) for article in marked} == left_out
        assert all(article.drop.stage == "select" and not article.paragraphs for article in marked)
        assert all(article.paragraphs for article in articles if not article.drop)

    def test_an_unknown_language_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="'français' is no language code"):
            PubmedReader(str(folder), languages=["français"])


#: What breaks one record, and what is said of it.
FAULTS = {
    "unclosed": (lambda record: record.replace("</ArticleTitle>", ""), "XMLSyntaxError"),
    "entity": (lambda record: record.replace("title", "&bomb;"), "no character of HTML"),
    "bytes": (lambda record: record.replace("A title", "A \x00 title"), "XMLSyntaxError"),
    "no end": (lambda record: record.replace("</PubmedArticle>", ""), "not closed before the next one"),
    "no id": (lambda record: record.replace("PMID", "PMIX"), "without a PMID"),
    "no content": (lambda record: record.replace("<Article>", "<X>").replace("</Article>", "</X>"), "without <Art"),
}  # fmt: skip


class TestFaults:
    @given(
        faults=st.lists(st.sampled_from([None, *FAULTS]), min_size=1, max_size=12),
        compressed=st.booleans(),
    )
    @settings(max_examples=40, deadline=None)
    def test_a_malformed_record_costs_only_itself(
        self, tmp_path_factory: pytest.TempPathFactory, faults: list[str | None], compressed: bool
    ) -> None:
        records = [
            FAULTS[fault][0](citation(str(pmid))) if fault else citation(str(pmid))
            for pmid, fault in enumerate(faults, 1)
        ]
        data = record_set(*records, citation("999")).encode()
        folder = tmp_path_factory.mktemp("faults")
        (folder / "a.xml").write_bytes(gzip.compress(data) if compressed else data)
        items = read(folder)
        good = [f"pubmed:{pmid}" for pmid, fault in enumerate(faults, 1) if not fault]
        assert [item.id for item in items if isinstance(item, Article)] == [*good, "pubmed:999"]
        bad = [item for item in items if isinstance(item, Quarantined)]
        assert [item.record for item in bad] == [str(number) for number, fault in enumerate(faults) if fault]
        for item, fault in zip(bad, filter(None, faults), strict=True):
            assert FAULTS[fault][1] in item.error
            assert item.hint.startswith("the record begins at byte")

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
    def test_a_truncated_gzip_is_read_up_to_the_cut(self, tmp_path: Path, share: float) -> None:
        # Numbers that do not compress keep the cut in proportion.
        records = [citation(str(pmid), f"<ArticleTitle>{pmid**40}</ArticleTitle>") for pmid in range(1001, 1201)]
        data = gzip.compress(record_set(*records).encode())
        (tmp_path / "cut.xml.gz").write_bytes(data[: int(len(data) * share)])
        (tmp_path / "next.xml").write_text(record_set(citation("5")), encoding="utf-8")
        *articles, error, after = read(tmp_path)
        assert [article.id for article in articles] == [f"pubmed:{1001 + i}" for i in range(len(articles))]
        assert abs(len(articles) - 200 * share) < 20
        assert isinstance(error, Quarantined)
        assert "ended before" in error.error
        assert after.id == "pubmed:5"

    def test_a_file_that_ends_inside_a_record(self, tmp_path: Path) -> None:
        text = record_set(citation("1"), citation("2"))
        (tmp_path / "cut.xml").write_text(text[: text.index("</PubmedData>", text.index('<PMID Version="1">2'))])
        first, error = read(tmp_path)
        assert first.id == "pubmed:1"
        assert error.error == "the file ends inside this <PubmedArticle>: it is cut off"

    @pytest.mark.parametrize(
        ("content", "error", "hint"),
        [
            ("<TEI><text><p>Texte.</p></text></TEI>", "no <PubmedArticle>", "only MEDLINE and JATS XML are read"),
            ("<html><article><p>Blog.</p></article></html>", "it is not JATS", "the record begins at byte 6"),
            ("pas de XML", "no <PubmedArticle>", "only MEDLINE and JATS XML are read"),
            ("", "the file is empty", ""),
        ],
    )
    def test_files_of_another_kind(self, tmp_path: Path, content: str, error: str, hint: str) -> None:
        (tmp_path / "other.xml").write_text(content, encoding="utf-8")
        [item] = read(tmp_path)
        assert isinstance(item, Quarantined)
        assert error in item.error
        assert hint in item.hint

    def test_no_entity_is_expanded_or_fetched(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("SECRET")
        bomb = JATS.format("1").replace("Un homme", "&secret; un homme")
        text = f'<!DOCTYPE article [<!ENTITY secret SYSTEM "file://{tmp_path}/secret">]>{bomb}'
        (tmp_path / "bomb.nxml").write_text(text, encoding="utf-8")
        [item] = read(tmp_path)
        assert isinstance(item, Quarantined)
        assert "secret" in item.error


class TestRealRecords:
    """Counts made by eye on the four files."""

    def test_four_records(self, real_data: Path) -> None:
        articles = read(real_data / "pubmed")
        assert [
            (a.id, a.pmcid, a.year, len(a.authors), len(a.subjects), len(a.paragraphs), dict(a.skipped))
            for a in articles
        ] == [
            ("pubmed:27797938", "PMC5442267", 2017, 22, 22, 5, {"reference": 49}),
            ("pubmed:28775130", "PMC5771820", 2018, 12, 5, 5, {"reference": 40}),
            ("pubmed:30108519", "PMC6079548", 2018, 2, 8, 2, {"reference": 53, "formula": 3}),
            ("pubmed:29963580", "PMC6022861", 2018, 9, 5, 2, {"reference": 49, "formula": 4}),
        ]
        first = articles[0]
        assert first.title == (
            "Leucocyte telomere length, genetic variants at the TERT gene region and risk of pancreatic cancer."
        )
        assert (first.doi, first.journal, first.language) == ("10.1136/gutjnl-2016-312510", "Gut", "en")
        assert first.authors[0] == "Bao, Ying"
        assert articles[3].authors[-1] == "Canadian Respiratory Research Network"
        assert first.document_type == "Observational Study"
        assert [p.section for p in first.paragraphs] == ["", "Objective", "Design", "Results", "Conclusions"]
        assert "p<sub>" not in first.text
        assert "ptrend=0.048" in first.text

    def test_every_path_leads_back_to_its_text(self, real_data: Path) -> None:
        for file in sorted((real_data / "pubmed").glob("*.xml")):
            with file.open("rb") as stream:
                [record] = markup.records(stream, "PubmedArticle")
            root = markup.parse(record)
            [article] = read(file)
            for paragraph in article.paragraphs:
                element = markup.resolve(root, paragraph.path)
                assert markup.text(element, ("math",)) == paragraph.text
                assert markup.path(element) == paragraph.path


class TestSamples:
    def test_what_the_demonstration_reads(self) -> None:
        items = read(Path(str(files("corpuskit") / "samples" / "pubmed")))
        articles = [item for item in items if isinstance(item, Article)]
        [broken] = [item for item in items if isinstance(item, Quarantined)]
        assert broken.file == "truncated.xml"
        assert [article.form for article in articles].count("fulltext") == 4
        assert len(articles) == 15
        assert [article.id for article in articles if article.drop] == ["pubmed:39900190"]
        by_form = {(article.id, article.form): article for article in articles}
        assert by_form["pubmed:39900101", "record"].doi == by_form["pubmed:39900101", "fulltext"].doi
        embolism = by_form["pubmed:39900084", "record"]
        assert (embolism.doi, embolism.year, embolism.authors[0]) == ("10.5555/demo.2019.084", 2019, "Morel, Claire")
        declared = {p.declared_language for article in articles for p in article.paragraphs}
        assert declared == {"", "en", "fr"}
        assert {article.licence for article in articles if article.form == "fulltext"} == {"CC-BY-4.0"}
