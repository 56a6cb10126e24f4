"""HAL: records and full texts, what is selected, and what a fault costs."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from corpuskit import files
from corpuskit.records import Article, Drop, Quarantined
from corpuskit.sources import markup
from corpuskit.sources.hal import HalReader

SAMPLES = Path(files.__file__).parent / "samples" / "hal"

RECORD = """<biblFull>
<titleStmt>
<title xml:lang="en">Acute poisoning</title><title xml:lang="fr">Intoxication aiguë</title>
<title xml:lang="fr" type="sub">à propos d'un cas</title><title xml:lang="en" type="sub">a case report</title>
<author role="aut"><persName><forename type="first">Hélène</forename><surname>Garnier</surname></persName></author>
<author role="aut"><persName><forename>Luc</forename><surname>Le Goff</surname></persName>
<idno type="ORCID">0</idno></author>
<editor role="depositor"><persName><surname>Autre</surname></persName></editor>
</titleStmt>
<editionStmt><edition><date type="whenSubmitted">2021-01-01</date><date type="whenProduced">2019-07-02</date></edition>
</editionStmt>
<publicationStmt><distributor>CCSD</distributor><idno type="halId">hal-02184001v2</idno>
<idno type="halUri">https://hal.science/hal-02184001</idno>
<availability><licence target="http://creativecommons.org/licenses/by-nc/4.0/">Attribution</licence></availability>
</publicationStmt>
<sourceDesc><biblStruct>
<analytic><title xml:lang="fr">Intoxication aiguë</title></analytic>
<monogr><idno type="issn">0000-0019</idno><title level="j">Toxicologie</title>
<meeting><title>Congrès</title><date type="start">2020-01-01</date></meeting>
<imprint><date type="datePub">2018</date></imprint></monogr>
<idno type="doi">10.5555/DEMO.1</idno><idno type="pubmed">39900084</idno><idno type="pubmedcentral">PMC42</idno>
</biblStruct></sourceDesc>
<profileDesc><langUsage><language ident="fr">French</language></langUsage>
<textClass>
<keywords scheme="author"><term xml:lang="fr">Colchicine</term><term xml:lang="en">Colchicine</term></keywords>
<classCode scheme="mesh">Poisoning</classCode>
<classCode scheme="halDomain" n="sdv.mhep.csc">Cardiology</classCode>
<classCode scheme="halDomain" n="shs">SHS</classCode>
<classCode scheme="halTypology" n="ART">Journal articles</classCode></textClass>
<abstract xml:lang="fr"><p>Un résumé.</p></abstract><abstract xml:lang="en"><p>An abstract.</p></abstract>
</profileDesc></biblFull>"""

FULL_TEXT = """<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader xml:lang="fr"><fileDesc>
<titleStmt><title level="a" type="main">Intoxication aiguë</title></titleStmt>
<sourceDesc><biblStruct><analytic><author><persName xmlns="http://www.tei-c.org/ns/1.0"><surname>Garnier</surname>
</persName></author></analytic><idno type="DOI">10.5555/demo.1</idno></biblStruct></sourceDesc></fileDesc>
<profileDesc><abstract><div xmlns="http://www.tei-c.org/ns/1.0"><p>Un résumé.</p></div></abstract></profileDesc>
</teiHeader><text xml:lang="fr"><body>
<div xmlns="http://www.tei-c.org/ns/1.0"><head>Introduction</head><p>Le corps.</p></div></body></text>
</TEI>"""


def export(*records: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><fileDesc>'
        '<publicationStmt><availability><licence target="http://creativecommons.org/licenses/by/4.0/"/></availability>'
        f"</publicationStmt></fileDesc></teiHeader><text><body><listBibl>{''.join(records)}</listBibl></body></text></TEI>"
    )


def read(folder: Path, file: str, content: str | bytes, **options: object) -> list[Article | Quarantined]:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    reader = HalReader(str(folder), **options)
    return [item for file in reader.files() for item in reader.read_file(file)]


def read_one(folder: Path, record: str, **options: object) -> Article:
    (article,) = read(folder, "export.xml", export(record), **options)
    assert isinstance(article, Article)
    return article


def test_a_record(tmp_path: Path) -> None:
    article = read_one(tmp_path, RECORD)
    assert (article.id, article.hal_id, article.form) == ("hal:hal-02184001", "hal-02184001", "record")
    assert (article.source, article.file, article.record) == ("hal", "export.xml", 0)
    assert (article.doi, article.pmid, article.pmcid) == ("10.5555/demo.1", "39900084", "PMC42")
    assert article.title == "Intoxication aiguë : à propos d'un cas"
    assert article.other_titles == ["Acute poisoning: a case report"]
    assert article.authors == ["Garnier, Hélène", "Le Goff, Luc"]
    assert (article.year, article.journal, article.language) == (2019, "Toxicologie", "fr")
    assert article.subjects == ["hal:sdv.mhep.csc", "hal:shs", "mesh:Poisoning", "Colchicine"]
    assert (article.document_type, article.licence) == ("ART", "CC-BY-NC-4.0")
    assert article.url == "https://hal.science/hal-02184001"
    assert (article.drop, article.needs_record) == (None, False)
    assert [(p.kind, p.declared_language, p.text, p.path) for p in article.paragraphs] == [
        ("title", "en", "Acute poisoning: a case report", "/biblFull/titleStmt[1]/title[1]"),
        ("title", "fr", "Intoxication aiguë : à propos d'un cas", "/biblFull/titleStmt[1]/title[2]"),
        ("abstract", "fr", "Un résumé.", "/biblFull/profileDesc[1]/abstract[1]/p[1]"),
        ("abstract", "en", "An abstract.", "/biblFull/profileDesc[1]/abstract[2]/p[1]"),
    ]


def without(record: str, *parts: str) -> str:
    for part in parts:
        assert part in record
        record = record.replace(part, "")
    return record


def test_the_export_s_own_licence_is_not_the_record_s(tmp_path: Path) -> None:
    start = RECORD.index("<availability>")
    availability = RECORD[start : RECORD.index("</publicationStmt>")]
    assert read_one(tmp_path, without(RECORD, availability)).licence == ""


def test_the_second_best_of_everything(tmp_path: Path) -> None:
    """Id from the URL, year from the imprint, conference for a journal, the first title."""
    record = without(
        RECORD,
        '<idno type="halId">hal-02184001v2</idno>',
        '<date type="whenProduced">2019-07-02</date>',
        '<title level="j">Toxicologie</title>',
    ).replace('ident="fr"', 'ident="es"')
    article = read_one(tmp_path, record)
    assert (article.id, article.year, article.journal) == ("hal:hal-02184001", 2018, "Congrès")
    assert article.title == "Acute poisoning: a case report"


@pytest.mark.parametrize(
    ("title", "whole"),
    [("Que faire ?", "Que faire ? à propos d'un cas"), ("La toux", "La toux : à propos d'un cas")],
)
def test_subtitle(tmp_path: Path, title: str, whole: str) -> None:
    assert read_one(tmp_path, RECORD.replace("Intoxication aiguë", title)).title == whole


def test_html_in_a_field(tmp_path: Path) -> None:
    """HAL keeps what was pasted into its form: tags, and two languages one after the other."""
    field = "&lt;p&gt;Un &lt;i&gt;germe&lt;/i&gt; rare.&lt;/p&gt;&lt;br/&gt;&lt;p&gt;A rare germ.&lt;/p&gt;"
    article = read_one(tmp_path, RECORD.replace("Un résumé.", field))
    texts = [paragraph.text for paragraph in article.paragraphs if paragraph.declared_language == "fr"]
    assert texts[1:] == ["Un germe rare.", "A rare germ."]


@pytest.mark.parametrize(
    ("options", "drop"),
    [
        ({"domains": ["sdv"]}, None),
        ({"domains": ["sdv.mhep"]}, None),
        ({"domains": ["sdv.mhep.csc", "info"]}, None),
        ({"domains": []}, None),
        ({"domains": ["sd"]}, Drop("select", "domain", "sdv.mhep.csc, shs")),
        ({"domains": ["sdv.mhep.cs"]}, Drop("select", "domain", "sdv.mhep.csc, shs")),
        ({"document_types": ["ART", "THESE"]}, None),
        ({"document_types": ["THESE"]}, Drop("select", "document_type", "ART")),
        ({"min_year": 2019}, None),
        ({"min_year": 2020}, Drop("select", "year", "2019 is before 2020")),
        ({"domains": ["info"], "min_year": 2020}, Drop("select", "domain", "sdv.mhep.csc, shs")),
    ],
)
def test_selection(tmp_path: Path, options: dict[str, object], drop: Drop | None) -> None:
    article = read_one(tmp_path, RECORD, **options)
    assert article.drop == drop
    assert bool(article.paragraphs) == (drop is None)
    assert article.title == "Intoxication aiguë : à propos d'un cas"


def test_what_is_not_given_is_not_selected(tmp_path: Path) -> None:
    bare = '<biblFull><publicationStmt><idno type="halId">hal-00000001</idno></publicationStmt></biblFull>'
    assert read_one(tmp_path, bare).drop == Drop("select", "domain", "none given")
    assert read_one(tmp_path, bare, domains=[], min_year=1990).drop == Drop("select", "year", "none given")
    everything = read_one(tmp_path, bare, domains=[])
    assert (everything.drop, everything.paragraphs) == (None, [])


DEPOSIT = """<biblFull><sourceDesc><biblStruct><analytic><title xml:lang="fr">Un dépôt</title>
<author><persName><forename>Luc</forename><surname>Roy</surname></persName></author></analytic></biblStruct></sourceDesc>
<profileDesc><abstract xml:lang="fr">Texte nu.</abstract></profileDesc></biblFull>"""


@pytest.mark.parametrize(
    ("name", "id", "hal_id"),
    [
        ("ART.xml", "hal:ART.xml/0", ""),
        ("depots/these-20190412.xml", "hal:depots/these-20190412.xml/0", ""),
        ("tel-01523347v1.xml", "hal:tel-01523347", "tel-01523347"),
    ],
)
def test_a_deposit_without_an_id_is_named_after_its_file(tmp_path: Path, name: str, id: str, hal_id: str) -> None:
    first, second = read(tmp_path, name, export(DEPOSIT, DEPOSIT), domains=[])
    assert isinstance(first, Article)
    assert isinstance(second, Article)
    assert (first.id, first.hal_id) == (id, hal_id)
    assert (second.id, second.hal_id) == (f"hal:{name}/1", "")
    assert first.authors == ["Roy, Luc"]
    assert [(p.kind, p.text, p.path) for p in first.paragraphs] == [
        ("title", "Un dépôt", "/biblFull/sourceDesc[1]/biblStruct[1]/analytic[1]/title[1]"),
        ("abstract", "Texte nu.", "/biblFull/profileDesc[1]/abstract[1]"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "hal-02184001.grobid.tei.xml",
        "hal-02184001v1.tei.xml",
        "hal-02184001v1_document.tei",
        "HAL-02184001.XML",
        "hal-02184001/fulltext.xml",
        "hal-00000007/hal-02184001.tei.xml",
    ],
)
def test_a_full_text_takes_its_id_from_its_name(tmp_path: Path, name: str) -> None:
    (article,) = read(tmp_path, name, FULL_TEXT)
    assert isinstance(article, Article)
    assert (article.id, article.hal_id, article.form) == ("hal:hal-02184001", "hal-02184001", "fulltext")
    assert (article.drop, article.needs_record, article.subjects) == (None, True, [])
    assert (article.title, article.authors, article.doi) == ("Intoxication aiguë", ["Garnier"], "10.5555/demo.1")
    assert article.language == "fr"
    assert [(p.kind, p.section, p.text, p.path) for p in article.paragraphs] == [
        ("abstract", "", "Un résumé.", "/TEI/teiHeader[1]/profileDesc[1]/abstract[1]/div[1]/p[1]"),
        ("body", "Introduction", "Le corps.", "/TEI/text[1]/body[1]/div[1]/p[1]"),
    ]


def test_a_full_text_may_name_its_record_itself(tmp_path: Path) -> None:
    text = FULL_TEXT.replace('<idno type="DOI">', '<idno type="halId">hal-01111111v3</idno><idno type="DOI">')
    (article,) = read(tmp_path, "article.xml", text, domains=[])
    assert isinstance(article, Article)
    assert (article.id, article.needs_record) == ("hal:hal-01111111", False)


def test_a_full_text_without_an_id_is_quarantined(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "article.xml", FULL_TEXT)
    assert isinstance(item, Quarantined)
    assert (item.file, item.error) == ("article.xml", "a full text without a HAL id: it cannot be joined to its record")
    assert "hal-01234567.grobid.tei.xml" in item.hint


def test_an_export_without_records_is_no_full_text(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "hal-02184001.xml", export())
    assert isinstance(item, Quarantined)
    assert (item.error, item.hint) == ("an export from HAL that holds no record", "check the query it was made with")


def test_a_malformed_record_costs_only_itself(tmp_path: Path) -> None:
    broken = RECORD.replace("Toxicologie", "Toxicologie & réanimation")
    other = RECORD.replace("hal-02184001v2", "hal-02184002")
    items = read(tmp_path, "export.xml", export(RECORD, broken, other))
    assert [item.id if isinstance(item, Article) else item.record for item in items] == [
        "hal:hal-02184001",
        "1",
        "hal:hal-02184002",
    ]
    assert isinstance(items[1], Quarantined)
    assert "XMLSyntaxError" in items[1].error
    at = int(items[1].hint.removeprefix("look at byte ").removesuffix(" of the file").replace(",", ""))
    assert (tmp_path / "export.xml").read_bytes()[at:].startswith(broken.encode())


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("<html><body>404</body></html>", "neither HAL records (<biblFull>) nor a full text in TEI (<TEI>)"),
        ('{"response": {"numFound": 63}}', "neither HAL records (<biblFull>) nor a full text in TEI (<TEI>)"),
        ("", "the file is empty"),
        ("<TEI><text><body><p>Cou", "the file ends inside this <TEI>: it is cut off"),
    ],
)
def test_a_file_that_is_neither(tmp_path: Path, content: str, error: str) -> None:
    (item,) = read(tmp_path, "hal-02184001.xml", content)
    assert isinstance(item, Quarantined)
    assert item.error == error


def test_a_file_that_breaks_keeps_the_records_before(tmp_path: Path) -> None:
    records = [RECORD.replace("hal-02184001v2", f"hal-0{number:07}") for number in range(200)]
    packed = gzip.compress(export(*records).encode())
    *articles, last = read(tmp_path, "export.xml.gz", packed[: len(packed) - 200])
    assert all(isinstance(article, Article) for article in articles)
    assert len(articles) > 20
    assert isinstance(last, Quarantined)


def test_an_export_in_utf_16(tmp_path: Path) -> None:
    content = export(RECORD).replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")
    (article,) = read(tmp_path, "export.xml", content)
    assert isinstance(article, Article)
    assert article.title == "Intoxication aiguë : à propos d'un cas"


def test_oai_pmh(tmp_path: Path) -> None:
    response = "<OAI-PMH><ListRecords>" + "".join(
        f"<record><header/><metadata>{export(RECORD).partition('?>')[2]}</metadata></record>" for _ in range(2)
    )
    items = read(tmp_path, "oai.xml", response + "</ListRecords></OAI-PMH>")
    assert [item.record for item in items if isinstance(item, Article)] == [0, 1]
    assert len(items) == 2


def test_the_name_of_the_source(tmp_path: Path) -> None:
    article = read_one(tmp_path, RECORD, name="hal-inserm")
    assert (article.source, article.id) == ("hal-inserm", "hal-inserm:hal-02184001")


def test_samples() -> None:
    reader = HalReader(str(SAMPLES))
    items = [item for file in reader.files() for item in reader.read_file(file)]
    articles = [item for item in items if isinstance(item, Article)]
    assert Counter(article.form for article in articles) == {"record": 11, "fulltext": 2}
    assert [item.record for item in items if isinstance(item, Quarantined)] == ["6"]
    assert [article.drop for article in articles if article.drop] == [Drop("select", "domain", "shs.langue")]
    record, text = (article for article in articles if article.hal_id == "hal-02184001")
    assert (record.doi, text.doi) == ("10.5555/demo.2019.084", "10.5555/demo.2019.084")
    assert (record.pmid, record.year, record.authors[0]) == ("39900084", 2019, "Morel, Claire")
    assert list(dict.fromkeys(p.section for p in text.paragraphs if p.kind == "body")) == [
        "Summary", "Introduction", "Patients et méthodes", "Données recueillies et analyse",
        "Résultats", "Discussion", "Conclusion",
    ]  # fmt: skip
    assert text.skipped == {"reference": 5, "table": 1, "formula": 1, "label": 4}


def test_real_export(real_data: Path) -> None:
    """Counts taken from the file by XPath, and by eye where they are odd."""
    path = real_data / "hal" / "ExportHAL-LR-2020-12.xml"
    reader = HalReader(str(path), domains=[])
    articles = [item for file in reader.files() for item in reader.read_file(file) if isinstance(item, Article)]
    assert len(articles) == len({article.id for article in articles}) == 63
    assert Counter(article.language for article in articles) == {"en": 51, "fr": 12}
    assert Counter(article.document_type for article in articles) == {
        "COMM": 48, "ART": 5, "POSTER": 4, "COUV": 3, "OTHER": 1, "REPORT": 1, "UNDEFINED": 1,
    }  # fmt: skip
    assert sum(bool(article.doi) for article in articles) == 4
    assert Counter(article.licence for article in articles) == {"": 44, "http://creativecommons.org/licenses/by/": 19}
    assert all(article.authors and article.year and article.title and article.url for article in articles)
    blocks = {(a.id, p.path): (p.kind, p.declared_language) for a in articles for p in a.paragraphs}
    counts = Counter(blocks.values())
    assert [counts["abstract", language] for language in ("en", "fr", "it")] == [45, 8, 3]
    assert [counts["title", language] for language in ("en", "fr", "it", "es", "no")] == [48, 12, 2, 1, 1]
    # One French abstract goes on in English, after "<br>––<br>".
    assert sum(len(article.paragraphs) for article in articles) == len(blocks) + 1


def test_the_real_export_holds_no_life_sciences(real_data: Path) -> None:
    reader = HalReader(str(real_data / "hal" / "ExportHAL-LR-2020-12.xml"))
    articles = [item for file in reader.files() for item in reader.read_file(file) if isinstance(item, Article)]
    assert [article.drop.reason for article in articles if article.drop] == ["domain"] * 63


def test_paths_of_the_real_export(real_data: Path) -> None:
    path = real_data / "hal" / "ExportHAL-LR-2020-12.xml"
    reader = HalReader(str(path), domains=[])
    articles = [item for file in reader.files() for item in reader.read_file(file) if isinstance(item, Article)]
    with path.open("rb") as stream:
        for article, record in zip(articles, markup.records(stream, "biblFull"), strict=True):
            root = markup.parse(record)
            for paragraph in article.paragraphs:
                element = markup.resolve(root, paragraph.path)
                assert element is not None
                assert markup.text(element)[:40] == paragraph.text[:40] or "<br>" in markup.text(element)


@pytest.mark.parametrize("name", ["ART.xml", "THESE.xml"])
def test_real_deposits(real_data: Path, name: str) -> None:
    reader = HalReader(str(real_data / "hal" / name), domains=[])
    (article,) = (item for file in reader.files() for item in reader.read_file(file))
    assert isinstance(article, Article)
    assert (article.id, article.document_type) == (f"hal:{name}/0", name.removesuffix(".xml"))
    assert article.authors == ["Auteur, Nouvel", "Romary, Laurent"]
    assert article.year == {"ART.xml": 2016, "THESE.xml": 2014}[name]
    assert [(p.kind, p.declared_language) for p in article.paragraphs] == [
        ("title", "en"), ("title", "fr"), ("abstract", "en"), ("abstract", "fr"),
    ]  # fmt: skip
