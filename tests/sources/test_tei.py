"""TEI bodies: what is a paragraph, of which kind, under which heading, and where."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from corpuskit.records import Article, Paragraph
from corpuskit.sources import markup, tei


def document(text: str, header: str = "") -> etree._Element:
    data = f'<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader>{header}</teiHeader><text>{text}</text></TEI>'
    return markup.parse(next(markup.records(io.BytesIO(data.encode()), "TEI")))


def read(text: str) -> tuple[list[Paragraph], Counter[str]]:
    article = Article("hal:x", "hal", "x.xml")
    return list(tei.body(document(text), article)), article.skipped


def read_body(body: str) -> list[tuple[str, str]]:
    paragraphs, _ = read(f"<body>{body}</body>")
    return [(paragraph.kind, paragraph.text) for paragraph in paragraphs]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<div><p>Une\n\tdouleur\u00a0vive.</p></div>", [("body", "Une douleur vive.")]),
        ("<p>Sans division.</p>", [("body", "Sans division.")]),
        ("<div>Texte nu.</div>", [("body", "Texte nu.")]),
        ("<div><p/><p> </p></div>", []),
        ("<div><list><item>Fièvre</item><item><p>Toux</p></item></list></div>", [("list", "Fièvre"), ("list", "Toux")]),
        ("<div><quote>Primum non nocere.</quote></div>", [("quote", "Primum non nocere.")]),
        ("<div><quote><p>Bloc cité.</p></quote></div>", [("quote", "Bloc cité.")]),
        ("<div><p>Il dit « <quote>j'ai mal</quote> ».</p></div>", [("body", "Il dit « j'ai mal ».")]),
        ('<note place="foot" n="1">Note de bas de page.</note>', [("note", "Note de bas de page.")]),
        # Words that are part of the sentence, whatever marks them up.
        ('<p>Vu <ref type="bibr" target="#b0">(Morel et al., 2019)</ref>.</p>', [("body", "Vu (Morel et al., 2019).")]),
        ('<p>10<hi rend="superscript">9</hi>/L <hi><hi>de</hi> plus</hi></p>', [("body", "109/L de plus")]),
        ("<p><s>Un.</s><s>Deux.</s></p>", [("body", "Un. Deux.")]),
        ("<p>fin de ligne<lb/>suite, cou<lb break='no'/>pure</p>", [("body", "fin de ligne suite, coupure")]),
        # What is on its own comes after the paragraph it stands in.
        (
            "<p>Le mot<note>Une note.</note>, puis la suite.</p>",
            [("body", "Le mot, puis la suite."), ("note", "Une note.")],
        ),
        (
            "<p>Signes :<list><item>fièvre</item></list>et toux.</p>",
            [("body", "Signes : et toux."), ("list", "fièvre")],
        ),
        ("<p>Un <hi>mot<note>Note.</note></hi> gras.</p>", [("body", "Un mot gras."), ("note", "Note.")]),
        # HTML that came as text.
        ("<p>&lt;p&gt;Un &lt;i&gt;germe&lt;/i&gt;.&lt;/p&gt;</p>", [("body", "Un germe.")]),
        ("<p>p &lt; 0,05 et n &gt; 30</p>", [("body", "p < 0,05 et n > 30")]),
    ],
)
def test_blocks(body: str, expected: list[tuple[str, str]]) -> None:
    assert read_body(body) == expected


def test_two_languages_in_one_field_are_two_paragraphs() -> None:
    body = "<p>Le cas&lt;br/&gt;est rare. &lt;br&gt;––&lt;br&gt; The case is rare.</p>"
    assert read_body(body) == [("body", "Le cas est rare. ––"), ("body", "The case is rare.")]


def test_heads_become_sections() -> None:
    paragraphs, _ = read(
        '<body><p>Avant.</p><div><head n="1">Méthodes<note>Voir annexe.</note></head><p>Un.</p>'
        '<div><head n="1.1">Patients</head><p>Deux.</p></div><p>Trois.</p></div><div><p>Quatre.</p></div></body>'
    )
    assert [(paragraph.section, paragraph.text) for paragraph in paragraphs] == [
        ("", "Avant."),
        ("Méthodes", "Voir annexe."),
        ("Méthodes", "Un."),
        ("Patients", "Deux."),
        ("Méthodes", "Trois."),
        ("", "Quatre."),
    ]


@pytest.mark.parametrize(
    ("figure", "captions", "labels"),
    [
        ("<head>Figure 1.</head><label>1</label><figDesc>Scanner de face.</figDesc>", ["Scanner de face."], 2),
        ("<head>Flux des patients</head><figDesc>Flux des patients, de 2014 à 2017.</figDesc>",
         ["Flux des patients, de 2014 à 2017."], 1),
        ("<head>Flux des patients</head><figDesc>Les exclus sont en gris.</figDesc>",
         ["Flux des patients", "Les exclus sont en gris."], 0),
        ("<head>Scanner thoracique</head>", ["Scanner thoracique"], 0),
        ("<head/><figDesc><div><p>Coupe axiale.</p></div></figDesc>", ["Coupe axiale."], 0),
        ("<head>TABLE IV -</head><label>4</label>", [], 2),
    ],
)  # fmt: skip
def test_captions(figure: str, captions: list[str], labels: int) -> None:
    paragraphs, skipped = read(f"<body><figure>{figure}</figure></body>")
    assert [(paragraph.kind, paragraph.text) for paragraph in paragraphs] == [("caption", text) for text in captions]
    assert skipped["label"] == labels


def test_what_is_no_prose_is_counted() -> None:
    paragraphs, skipped = read(
        "<body><p>Selon la formule <formula>x = 2</formula>, voir<fw>12</fw> ici.</p><formula>y</formula>"
        '<figure type="table"><figDesc>Effectifs.</figDesc><table><row><cell>1</cell></row></table></figure></body>'
        "<back><div><listBibl><head>Références</head><biblStruct/><biblStruct/><bibl>Un livre.</bibl></listBibl></div>"
        "</back>"
    )
    assert [paragraph.text for paragraph in paragraphs] == ["Selon la formule , voir ici.", "Effectifs."]
    assert skipped == {"formula": 2, "running_head": 1, "table": 1, "reference": 3}


def test_front_body_and_back() -> None:
    paragraphs, _ = read(
        '<front><div type="abstract"><p>Le résumé.</p></div><div><head>Résumé</head><p>Autre résumé.</p></div>'
        "<div><p>Reçu le 3 mai.</p></div></front><body><div><head>Résumé</head><p>Le corps.</p></div></body>"
        "<back><div type='acknowledgement'><div><head>Remerciements</head><p>Merci.</p></div></div></back>"
    )
    assert [(paragraph.kind, paragraph.section, paragraph.text) for paragraph in paragraphs] == [
        ("abstract", "", "Le résumé."),
        ("abstract", "Résumé", "Autre résumé."),
        ("front", "", "Reçu le 3 mai."),
        ("body", "Résumé", "Le corps."),
        ("back", "Remerciements", "Merci."),
    ]


def test_a_block_declares_its_language() -> None:
    paragraphs, _ = read('<body><div xml:lang="en-GB"><p>One.</p><p xml:lang="fr">Deux.</p></div><p>Trois.</p></body>')
    assert [paragraph.declared_language for paragraph in paragraphs] == ["en", "fr", ""]


def test_abstracts_of_the_header() -> None:
    header = (
        '<profileDesc><abstract xml:lang="fr"><p>Un.</p><p>Deux.</p></abstract><abstract xml:lang="en">Bare.</abstract>'
        "<abstract><div><head>Résumé</head><p>Trois.</p></div></abstract><abstract/></profileDesc>"
    )
    root = document("", header)
    paragraphs = list(tei.abstracts(root, Article("hal:x", "hal", "x.xml")))
    assert [(paragraph.declared_language, paragraph.section, paragraph.text) for paragraph in paragraphs] == [
        ("fr", "", "Un."),
        ("fr", "", "Deux."),
        ("en", "", "Bare."),
        ("", "Résumé", "Trois."),
    ]
    assert {paragraph.kind for paragraph in paragraphs} == {"abstract"}


BLOCKS = st.recursive(
    st.sampled_from(["<p>{}</p>", "<note>{}</note>", "<p><hi>{}</hi></p>", "<head>{}</head>", "<item>{}</item>"]),
    lambda inner: st.builds(
        "<{0}>{1}</{0}>".format,
        st.sampled_from(["div", "p", "hi", "list", "quote", "figure", "note", "epigraph"]),
        st.lists(inner, max_size=4).map("".join),
    ),
)


@given(st.lists(BLOCKS, max_size=5).map("".join))
def test_every_path_leads_to_its_text_and_no_text_is_lost(body: str) -> None:
    parts = body.split("{}")
    numbered = "".join(f"{part} mot{number} " for number, part in enumerate(parts[:-1])) + parts[-1]
    root = document(f"<body>{numbered}</body>")
    paragraphs = list(tei.body(root, Article("hal:x", "hal", "x.xml")))
    for paragraph in paragraphs:
        element = markup.resolve(root, paragraph.path)
        assert element is not None
        assert markup.path(element) == paragraph.path
        assert set(paragraph.text.split()) <= _words(element)
    # A heading goes into the section of what follows it; where nothing does, it titles nothing.
    headings = set().union(*map(_words, root.iter("head")))
    assert _words(root) - headings <= {word for paragraph in paragraphs for word in paragraph.text.split()}


def _words(element: etree._Element) -> set[str]:
    return set("".join(element.itertext()).split())


def test_grobid_declares_the_namespace_again() -> None:
    root = document('<body><div xmlns="http://www.tei-c.org/ns/1.0"><p>Un.</p><p>Deux.</p></div></body>')
    paragraphs = list(tei.body(root, Article("hal:x", "hal", "x.xml")))
    assert [paragraph.path for paragraph in paragraphs] == [
        "/TEI/text[1]/body[1]/div[1]/p[1]",
        "/TEI/text[1]/body[1]/div[1]/p[2]",
    ]
    assert markup.text(markup.resolve(root, paragraphs[1].path)) == "Deux."


HEADER = """<fileDesc>
<titleStmt><title level="a" type="main">Un <hi>titre</hi></title></titleStmt>
<publicationStmt><availability><licence target="https://creativecommons.org/licenses/by/4.0/"/></availability>
</publicationStmt>
<sourceDesc><biblStruct>
<analytic><author><persName xmlns="http://www.tei-c.org/ns/1.0"><forename type="first">Jean</forename>
<forename type="middle">Paul</forename><surname>Roy</surname></persName></author><author/>
</analytic>
<monogr><title level="m">Actes</title><title level="j" type="main">La Revue</title><idno type="DOI">10.5555/revue</idno>
<imprint><date type="published" when="2018-04"/></imprint></monogr>
<idno type="DOI">10.5555/demo.1</idno></biblStruct></sourceDesc></fileDesc>
<profileDesc><langUsage><language ident="fre"/></langUsage></profileDesc>"""


def test_the_facts_of_a_header() -> None:
    root = document("", HEADER)
    description = root.find("{*}teiHeader/{*}fileDesc")
    assert description is not None
    assert tei.title(description) == "Un titre"
    assert tei.authors(description) == ["Roy, Jean Paul"]
    assert tei.year(description) == 2018
    assert tei.journal(description) == "La Revue"
    assert tei.licence(description) == "CC-BY-4.0"
    assert tei.idnos(description) == {"doi": "10.5555/demo.1"}
    assert tei.language(root) == "fr"


def test_an_empty_header_gives_nothing() -> None:
    root = document("", "<fileDesc><titleStmt><title/></titleStmt><sourceDesc/></fileDesc>")
    description = root.find("{*}teiHeader/{*}fileDesc")
    assert description is not None
    assert (tei.title(description), tei.authors(description), tei.year(description)) == ("", [], 0)
    assert (tei.journal(description), tei.licence(description), tei.idnos(description)) == ("", "", {})
    assert tei.language(root) == ""


def test_the_language_grobid_found() -> None:
    data = b'<TEI><teiHeader xml:lang="fr"/><text xml:lang="fr"><body/></text></TEI>'
    assert tei.language(etree.fromstring(data)) == "fr"
