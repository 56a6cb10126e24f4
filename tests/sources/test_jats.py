"""JATS full texts: what is a paragraph, of which kind, under which title, in which language."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from corpuskit.files import Refused
from corpuskit.records import Article
from corpuskit.sources import jats, markup
from corpuskit.sources.pubmed import PubmedReader

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
ALI = 'xmlns:ali="http://www.niso.org/schemas/ali/1.0/"'
MML = 'xmlns:mml="http://www.w3.org/1998/Math/MathML"'


def root_of(meta: str = "", rest: str = "", attributes: str = "", journal: str = "") -> etree._Element:
    front = f"<front>{journal}<article-meta>{meta}</article-meta></front>"
    return etree.fromstring(f"<article {XLINK} {ALI} {MML} {attributes}>{front}{rest}</article>")


def read(meta: str = "", rest: str = "", attributes: str = "", journal: str = "") -> Article:
    root = root_of(meta, rest, attributes, journal)
    article = jats.article(root, "pubmed", "folder/some.nxml")
    jats.paragraphs(root, article)
    for paragraph in article.paragraphs:
        element = markup.resolve(root, paragraph.path)
        assert element is not None, paragraph.path
        assert markup.path(element) == paragraph.path
    return article


def body(content: str) -> list[tuple[str, str]]:
    """Kind and text of the paragraphs of a body."""
    return [(p.kind, p.text) for p in read(rest=f"<body>{content}</body>").paragraphs]


def text_of(content: str) -> str:
    [(_, text)] = body(f"<p>{content}</p>")
    return text


class TestFrontMatter:
    def test_metadata(self) -> None:
        meta = """
          <article-id pub-id-type="pmid">12345678</article-id>
          <article-id pub-id-type="pmc">7654321</article-id>
          <article-id pub-id-type="doi">10.1000/ABC.1</article-id>
          <article-categories><subj-group><subject>Cas clinique</subject>
            <subj-group><subject>Neurologie</subject></subj-group></subj-group></article-categories>
          <title-group><article-title>La <italic>myasthénie</italic></article-title><subtitle>un cas</subtitle>
            <trans-title-group xml:lang="en"><trans-title>Myasthenia</trans-title></trans-title-group></title-group>
          <contrib-group>
            <contrib contrib-type="author"><name><surname>Petit</surname><given-names>Léa M.</given-names></name>
            </contrib>
            <contrib><name-alternatives><name><surname>Li</surname><given-names>Wei</given-names></name>
              <string-name>李伟</string-name></name-alternatives></contrib>
            <contrib contrib-type="author"><collab>Groupe Neuro</collab></contrib>
            <contrib contrib-type="editor"><name><surname>Rey</surname><given-names>P</given-names></name></contrib>
          </contrib-group>
          <pub-date pub-type="collection"><year>2020</year></pub-date>
          <pub-date pub-type="epub"/>
          <pub-date iso-8601-date="2019-12-30"/>
          <kwd-group xml:lang="fr"><title>Mots clés</title><kwd>myasthénie</kwd><kwd>Neurologie</kwd></kwd-group>"""
        journal = (
            "<journal-meta><journal-title-group><journal-title>Revue N</journal-title></journal-title-group>"
            "</journal-meta>"
        )
        article = read(meta, attributes='article-type="case-report" xml:lang="fr"', journal=journal)
        assert article.id == "pubmed:12345678"
        assert (article.doi, article.pmid, article.pmcid) == ("10.1000/abc.1", "12345678", "PMC7654321")
        assert article.title == "La myasthénie: un cas"
        assert article.other_titles == ["Myasthenia"]
        assert article.authors == ["Petit, Léa M.", "Li, Wei", "Groupe Neuro"]
        assert (article.year, article.journal, article.language) == (2019, "Revue N", "fr")
        assert article.subjects == ["Cas clinique", "Neurologie", "myasthénie"]
        assert article.document_type == "case-report"
        assert article.form == "fulltext"
        assert article.url == "https://pmc.ncbi.nlm.nih.gov/articles/PMC7654321/"

    @pytest.mark.parametrize(
        ("ids", "expected", "url"),
        [
            ({"pmid": "5", "pmc": "7", "doi": "10.1000/x"}, "pubmed:5", "https://pmc.ncbi.nlm.nih.gov/articles/PMC7/"),
            ({"pmcid": "PMC7", "doi": "10.1000/x"}, "pubmed:PMC7", "https://pmc.ncbi.nlm.nih.gov/articles/PMC7/"),
            ({"pmid": "5"}, "pubmed:5", "https://pubmed.ncbi.nlm.nih.gov/5/"),
            ({"doi": "10.1000/X"}, "pubmed:10.1000/x", "https://doi.org/10.1000/x"),
            ({"publisher-id": "A-1"}, "pubmed:some", ""),
        ],
    )
    def test_the_best_identifier_makes_the_id(self, ids: dict[str, str], expected: str, url: str) -> None:
        article = read("".join(f'<article-id pub-id-type="{kind}">{value}</article-id>' for kind, value in ids.items()))
        assert (article.id, article.url) == (expected, url)

    @pytest.mark.parametrize(
        ("licence", "expected"),
        [
            ('<license xlink:href="http://creativecommons.org/licenses/by-nc/3.0/"/>', "CC-BY-NC-3.0"),
            ("<license><ali:license_ref>https://creativecommons.org/licenses/by/4.0/</ali:license_ref></license>",
             "CC-BY-4.0"),
            ("<ali:free_to_read/><ali:license_ref>https://creativecommons.org/licenses/by/4.0/</ali:license_ref>",
             "CC-BY-4.0"),
            ("<license><license-p>CC BY licence (http://creativecommons.org/licenses/by-nd/4.0/).</license-p></license>",
             "CC-BY-ND-4.0"),
            ('<license xlink:href="https://publisher.example/terms"><license-p>See <ext-link '
             'xlink:href="https://creativecommons.org/publicdomain/zero/1.0/">CC0</ext-link></license-p></license>',
             "CC0-1.0"),
            ("<license><license-p>Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International License."
             "</license-p></license>", "CC-BY-NC-ND-4.0"),
            ('<license license-type="open-access"><license-p>Licence CC BY-SA 4.0.</license-p></license>',
             "CC-BY-SA-4.0"),
            ("<license><license-p>the Creative Commons Attribution License</license-p></license>", "CC BY"),
            ('<license xlink:href="https://publisher.example/terms"/>', "https://publisher.example/terms"),
            ("<copyright-statement>© 2020</copyright-statement>", ""),
        ],
    )  # fmt: skip
    def test_licence(self, licence: str, expected: str) -> None:
        assert read(f"<permissions>{licence}</permissions>").licence == expected

    def test_a_licence_of_a_figure_is_not_that_of_the_article(self) -> None:
        figure = (
            '<body><fig><permissions><license xlink:href="http://creativecommons.org/licenses/by/4.0/"/>'
            "</permissions></fig></body>"
        )
        assert read(rest=figure).licence == ""

    def test_what_has_no_article_meta_is_refused(self) -> None:
        html = etree.fromstring("<article><h1>Blog</h1><p>Texte.</p></article>")
        with pytest.raises(Refused, match="not JATS"):
            jats.article(html, "pubmed", "blog.xml")


class TestParagraphs:
    def test_reading_order_kinds_sections_and_languages(self) -> None:
        meta = """
          <title-group><article-title>Titre</article-title>
            <trans-title-group xml:lang="en"><trans-title>Title</trans-title></trans-title-group>
            <alt-title alt-title-type="running-head">Petit titre</alt-title></title-group>
          <author-notes><corresp>Écrire à x@y.invalid</corresp><fn><p>Contribution égale.</p></fn></author-notes>
          <permissions><license><license-p>CC BY</license-p></license></permissions>
          <abstract><title>Résumé</title><sec><title>Objectif</title><p>But.</p></sec><p>Suite.</p></abstract>
          <trans-abstract xml:lang="en"><title>Abstract</title><p>Aim.</p></trans-abstract>
          <funding-group><award-group><award-id>42</award-id></award-group>
            <funding-statement>Aucun financement.</funding-statement></funding-group>"""
        rest = """
          <body><p>Avant.</p>
            <sec><label>1</label><title>Cas</title><p>Un.</p><sec><title>Suivi</title><p>Deux.</p></sec><p>Trois.</p></sec>
          </body>
          <back><ack><title>Remerciements</title><p>Merci.</p></ack>
            <fn-group><fn><p>Note.</p></fn></fn-group>
            <app-group><app><title>Annexe</title><p>Questionnaire.</p></app></app-group>
            <ref-list><title>Références</title><ref><mixed-citation>A</mixed-citation></ref>
              <ref><note><p>B</p></note></ref></ref-list></back>
          <floats-group><fig><caption><p>Figure flottante.</p></caption></fig></floats-group>"""
        article = read(meta, rest)
        assert [(p.kind, p.section, p.declared_language, p.text) for p in article.paragraphs] == [
            ("title", "", "", "Titre"),
            ("title", "", "en", "Title"),
            ("note", "", "", "Contribution égale."),
            ("abstract", "Objectif", "", "But."),
            ("abstract", "Résumé", "", "Suite."),
            ("abstract", "Abstract", "en", "Aim."),
            ("front", "", "", "Aucun financement."),
            ("body", "", "", "Avant."),
            ("body", "Cas", "", "Un."),
            ("body", "Suivi", "", "Deux."),
            ("body", "Cas", "", "Trois."),
            ("back", "Remerciements", "", "Merci."),
            ("note", "", "", "Note."),
            ("body", "Annexe", "", "Questionnaire."),
            ("caption", "", "", "Figure flottante."),
        ]
        assert article.skipped == {"reference": 2}

    def test_paths(self) -> None:
        article = read(rest="<body><sec><title>A</title><p>Un.</p></sec><sec><p/><p>Deux.</p></sec></body>")
        assert [p.path for p in article.paragraphs] == ["/article/body[1]/sec[1]/p[1]", "/article/body[1]/sec[2]/p[2]"]

    def test_a_translation_has_its_own_language(self) -> None:
        translation = """<sub-article article-type="translation" xml:lang="en"><front-stub>
            <title-group><article-title>Fever</article-title></title-group><abstract><p>Short.</p></abstract></front-stub>
            <body><sec><title>Case</title><p>A man.</p></sec></body></sub-article>"""
        article = read(
            "<title-group><article-title>Fièvre</article-title></title-group>",
            f"<body><p>Un homme.</p></body>{translation}",
            'xml:lang="fr"',
        )
        assert [(p.kind, p.declared_language, p.text) for p in article.paragraphs] == [
            ("title", "", "Fièvre"),
            ("body", "", "Un homme."),
            ("title", "en", "Fever"),
            ("abstract", "en", "Short."),
            ("body", "en", "A man."),
        ]
        assert (article.title, article.other_titles, article.language) == ("Fièvre", ["Fever"], "fr")

    def test_a_quotation_in_another_language(self) -> None:
        [quote, after] = read(
            rest='<body><disp-quote xml:lang="en"><p>Do no harm.</p><attrib>Anon.</attrib></disp-quote></body>'
        ).paragraphs
        assert (quote.kind, quote.declared_language) == ("quote", "en")
        assert (after.kind, after.text) == ("quote", "Anon.")

    def test_lists_in_a_paragraph_are_read_after_it(self) -> None:
        content = """<p>Trois signes : <list><list-item><label>1</label><p>fièvre ;</p></list-item>
            <list-item><p>toux :</p><list><list-item><p>sèche ;</p></list-item></list></list-item>
            </list> et rien d'autre.</p>
            <p>Après.</p>"""
        assert body(content) == [
            ("body", "Trois signes : et rien d'autre."),
            ("list", "fièvre ;"),
            ("list", "toux :"),
            ("list", "sèche ;"),
            ("body", "Après."),
        ]

    def test_figures_and_tables_give_their_captions_and_notes(self) -> None:
        content = """<p><fig><label>Figure 1</label><caption><title>Radiographie.</title>
            <p>De <italic>face</italic>.</p></caption><alt-text>image</alt-text><graphic xlink:href="a.jpg"/></fig></p>
            <table-wrap><label>Tableau 1</label><caption><p>Données.</p></caption>
            <table><tr><td><p>12</p></td></tr></table>
            <table-wrap-foot><p>Moyennes.</p><fn><label>a</label><p>En mg.</p></fn></table-wrap-foot></table-wrap>"""
        assert body(content) == [
            ("caption", "Radiographie."),
            ("caption", "De face."),
            ("caption", "Données."),
            ("note", "Moyennes."),
            ("note", "En mg."),
        ]
        assert read(rest=f"<body>{content}</body>").skipped == {"table": 1}

    def test_a_list_in_an_abstract_is_abstract_and_in_a_caption_caption(self) -> None:
        items = "<list><list-item><p>Point.</p></list-item></list>"
        abstract = read(f"<abstract>{items}</abstract>").paragraphs[0]
        assert abstract.kind == "abstract"
        assert body(f"<fig><caption><p>Figure.{items}</p></caption></fig>")[1] == ("caption", "Point.")

    def test_definitions_keep_their_term(self) -> None:
        glossary = """<back><glossary><title>Abréviations</title><def-list><def-item><term>IMC</term>
            <def><p>indice de masse corporelle</p></def></def-item></def-list></glossary></back>"""
        [paragraph] = read(rest=glossary).paragraphs
        assert paragraph.text == "IMC: indice de masse corporelle"
        assert (paragraph.kind, paragraph.section) == ("back", "Abréviations")

    def test_boxes_verses_and_notes_inside_a_sentence(self) -> None:
        content = """<boxed-text><sec><title>À retenir</title><p>Boire.</p></sec></boxed-text>
            <verse-group><verse-line><italic>Ô temps</italic></verse-line></verse-group>
            <p>Un<fn><p>En marge.</p></fn> mot.</p>"""
        assert body(content) == [
            ("body", "Boire."),
            ("quote", "Ô temps"),
            ("body", "Un mot."),
            ("note", "En marge."),
        ]

    def test_text_of_an_element_that_no_table_names_is_not_lost(self) -> None:
        content = "<strange>Du texte <bold>libre</bold>.</strange><strange><other><p>Dedans.</p></other></strange>"
        assert body(content) == [("body", "Du texte libre."), ("body", "Dedans.")]

    def test_formulas_and_code_are_counted(self) -> None:
        article = read(
            rest="""<body><sec><title>Aire <inline-formula><tex-math>x</tex-math></inline-formula></title>
            <p>Soit <inline-formula><alternatives><mml:math><mml:mi>y</mml:mi></mml:math><tex-math>y</tex-math>
            </alternatives></inline-formula> le taux<disp-formula><tex-math>z</tex-math></disp-formula>et
            <mml:math><mml:mi>k</mml:mi></mml:math>, fin.</p><code>rm -r</code></sec></body>"""
        )
        assert [(p.section, p.text) for p in article.paragraphs] == [("Aire", "Soit le taux et , fin.")]
        assert article.skipped == {"formula": 4, "code": 1}


class TestInlineMarkup:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("L'<italic>E. coli</italic>, le CO<sub>2</sub>", "L'E. coli, le CO2"),
            ("hyper<bold>ten<italic>sion</italic></bold>", "hypertension"),
            ("10<sup>9</sup>/L et m<sup>2</sup>", "10⁹/L et m²"),
            ("ligne<break/>suivante", "ligne suivante"),
            ("un\n   mot\u00a0: deux", "un mot : deux"),
            ("voir <xref ref-type='fig'>Figure&#160;1</xref>.", "voir Figure 1."),
            ("image <inline-graphic><alt-text>photo</alt-text></inline-graphic>ici", "image ici"),
        ],
    )
    def test_words_stay_whole(self, content: str, expected: str) -> None:
        assert text_of(content) == expected

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("décrit<sup><xref ref-type='bibr'>12</xref></sup>.", "décrit."),
            ("décrit<sup>[<xref ref-type='bibr'>1</xref>,<xref ref-type='bibr'>2</xref>]</sup> ici", "décrit ici"),
            ("décrit<sup><xref ref-type='bibr'>3</xref>–<xref ref-type='bibr'>6</xref></sup> ici", "décrit ici"),
            ("décrit<xref ref-type='bibr'><sup>12</sup></xref>.", "décrit."),
            ("décrit<xref ref-type='bibr'>12</xref>.", "décrit."),
            ("dosage<xref ref-type='table-fn'>*</xref> bas", "dosage bas"),
            ("10<sup>3 <xref ref-type='bibr'>12</xref></sup> cellules", "103 cellules"),
            ("décrit [<xref ref-type='bibr'>12</xref>].", "décrit [12]."),
            ("décrit <xref ref-type='bibr'>[12]</xref>.", "décrit [12]."),
            ("(<xref ref-type='bibr'>Petit, 2010</xref>)", "(Petit, 2010)"),
            ("Petit et al., <xref ref-type='bibr'>2010</xref>", "Petit et al., 2010"),
        ],
    )
    def test_superscript_references_are_left_out(self, content: str, expected: str) -> None:
        assert text_of(content) == expected


@pytest.fixture(scope="module")
def articles(real_data: Path) -> list[tuple[Article, etree._Element]]:
    """The real full texts as read, each with the tree of a plain parser."""
    reader = PubmedReader(str(real_data / "jats"))
    found = []
    for file in reader.files():
        for article in reader.read_file(file):
            assert isinstance(article, Article)
            parser = etree.XMLParser(load_dtd=False, no_network=True)
            found.append((article, etree.parse(str(real_data / "jats" / file.name), parser).getroot()))
    return found


class TestRealArticles:
    """Counts by XPath expressions that share no code with the reader."""

    def test_each_has_an_id_a_type_and_a_licence(self, articles: list[tuple[Article, etree._Element]]) -> None:
        assert len(articles) == len({article.id for article, _ in articles}) == 138
        assert sum(article.id.startswith("pubmed:PMC") for article, _ in articles) == 133
        assert sum(article.pmid != "" for article, _ in articles) == 5
        assert all(article.document_type == root.get("article-type") for article, root in articles)
        assert all(article.document_type == Path(article.file).parent.name for article, _ in articles)
        licences = [article.licence for article, _ in articles]
        assert {name: licences.count(name) for name in set(licences)} == {
            "CC-BY-4.0": 136,
            "CC-BY-3.0": 1,
            "CC-BY-2.0": 1,
        }
        assert {article.language for article, _ in articles} == {"", "en"}
        assert all(article.title and article.journal and article.year for article, _ in articles)

    def test_every_path_leads_back_to_its_text(self, articles: list[tuple[Article, etree._Element]]) -> None:
        checked = 0
        for article, root in articles:
            for paragraph in article.paragraphs:
                element = markup.resolve(root, paragraph.path)
                assert element is not None
                assert markup.path(element) == paragraph.path
                text, _ = jats.running_text(element)
                definition = "/def-item[" in paragraph.path
                assert paragraph.text.endswith(f": {text}") if definition else paragraph.text == text
                checked += 1
        assert checked == sum(len(article.paragraphs) for article, _ in articles) > 5000

    @pytest.mark.parametrize(
        ("kind", "xpath", "expected"),
        [
            ("abstract", "//abstract//p[not(ancestor::fig or list or fig)]", 221),
            ("caption", "//caption/*[normalize-space()][not(ancestor::ref-list)]", 953),
            ("title", "//front//title-group/*[self::article-title or self::subtitle]", 139),
        ],
    )
    def test_paragraphs_by_kind(
        self, articles: list[tuple[Article, etree._Element]], kind: str, xpath: str, expected: int
    ) -> None:
        read = sum(paragraph.kind == kind for article, _ in articles for paragraph in article.paragraphs)
        assert read == sum(len(root.xpath(xpath)) for _, root in articles) == expected

    def test_what_is_not_prose_is_counted(self, articles: list[tuple[Article, etree._Element]]) -> None:
        namespaces = {"m": "http://www.w3.org/1998/Math/MathML"}
        counts = {
            "reference": "count(//ref)",
            "table": "count(//table)",
            "formula": "count((//disp-formula | //inline-formula | //m:math[not(ancestor::disp-formula or"
            " ancestor::inline-formula)])[not(ancestor::table or ancestor::ref-list)])",
        }
        for name, xpath in counts.items():
            expected = sum(int(root.xpath(xpath, namespaces=namespaces)) for _, root in articles)
            assert sum(article.skipped[name] for article, _ in articles) == expected, name

    def test_an_article_read_by_eye(self, articles: list[tuple[Article, etree._Element]]) -> None:
        [article] = [article for article, _ in articles if article.pmid == "28086205"]
        assert (article.id, article.pmcid, article.doi) == (
            "pubmed:28086205",
            "PMC5351569",
            "10.18632/oncotarget.13925",
        )
        assert [p.kind for p in article.paragraphs] == ["title", *["body"] * 5]
        assert article.paragraphs[1].text.startswith("The nicotinic acetylcholine receptors (nAChRs) form a large")
        assert article.skipped == {"reference": 8}
