"""The Wikipedia reader: the choice of pages, the name of the wiki, broken dumps, the sample, real dumps."""

from __future__ import annotations

import bz2
import gzip
import itertools
import random
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from pydantic import ValidationError

from corpuskit.records import Article, Quarantined
from corpuskit.sources import markup
from corpuskit.sources.wikipedia import WikipediaOptions, WikipediaReader

SAMPLE = files("corpuskit").joinpath("samples", "wikipedia", "frwiki-sample-pages-articles.xml")


def page(text: str, *, title: str = "Rougeole", number: int = 7, namespace: int = 0, redirect: str = "") -> str:
    target = f"<redirect title={quoteattr(redirect)} />" if redirect else ""
    return (
        f"<page><title>{escape(title)}</title><ns>{namespace}</ns><id>{number}</id>{target}<revision><id>99</id>"
        f'<model>wikitext</model><text xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


def dump(*pages: str, base: str = "https://fr.wikipedia.org/wiki/Accueil", language: str = "fr") -> str:
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="{language}">\n'
        f"<siteinfo><sitename>Wikipédia</sitename><base>{base}</base></siteinfo>\n{''.join(pages)}</mediawiki>\n"
    )


def read(path: Path, **options: object) -> list[Article | Quarantined]:
    reader = WikipediaReader(str(path), **options)
    return [item for file in reader.files() for item in reader.read_file(file)]


def articles(path: Path, **options: object) -> list[Article]:
    found = read(path, **options)
    assert all(isinstance(item, Article) for item in found), found
    return [item for item in found if isinstance(item, Article)]


def read_one(folder: Path, text: str, **options: object) -> Article:
    (folder / "frwiki-1.xml").write_text(dump(page(text)), encoding="utf-8")
    [article] = articles(folder, **options)
    return article


class TestArticle:
    def test_metadata(self, tmp_path: Path) -> None:
        text = "Elle & lui.\n[[Catégorie:Maladie d'enfant|Rougeole]]\n[[Category:Virologie]]"
        (tmp_path / "frwiki-1.xml").write_text(dump(page(text, title="Rougeole & œil (l'un, l'autre)")))
        [article] = articles(tmp_path)
        assert (article.id, article.source, article.file, article.record, article.form) == (
            "wikipedia:fr:7",
            "wikipedia",
            "frwiki-1.xml",
            0,
            "fulltext",
        )
        assert article.title == "Rougeole & œil (l'un, l'autre)"
        assert article.url == "https://fr.wikipedia.org/wiki/Rougeole_%26_%C5%93il_(l%27un,_l%27autre)"
        assert (article.language, article.document_type, article.licence, article.year) == (
            "fr",
            "encyclopedia",
            "CC-BY-SA-4.0",
            0,
        )
        assert article.subjects == ["category:Maladie d'enfant", "category:Virologie"]
        assert [p.text for p in article.paragraphs] == ["Elle & lui."]

    def test_the_path_is_a_place_in_the_page(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, "{{x}}\nUn <b>foie</b> & une rate.\n[[Catégorie:Anatomie]]")
        with open(tmp_path / "frwiki-1.xml", "rb") as stream:
            [record] = markup.records(stream, "page")
        source = markup.parse(record).findtext("revision/text")
        [paragraph] = article.paragraphs
        start, end = map(int, re.findall(r"\d+", paragraph.path))
        assert source is not None
        assert source[start:end] == "Un <b>foie</b> & une rate."

    def test_the_last_revision_is_read(self, tmp_path: Path) -> None:
        one = page("Ancien.\n[[Catégorie:Maladie]]")
        two = "<revision><id>100</id><text>Nouveau.</text></revision></page>"
        (tmp_path / "frwiki-1.xml").write_text(dump(one.replace("</page>", two)))
        assert [p.text for p in articles(tmp_path)[0].paragraphs] == ["Nouveau."]

    def test_the_users_own_name_is_in_ids(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, "[[Catégorie:Maladie]]", name="wiki2024")
        assert (article.id, article.source) == ("wiki2024:fr:7", "wiki2024")


class TestSelection:
    @pytest.mark.parametrize(
        "text",
        [
            "[[Catégorie:Maladie infectieuse]]",
            "[[catégorie: Syndrome en cardiologie |tri]]",
            "[[Category:Infectious diseases]]",
            "[[Catégorie:MÉDECINE D'URGENCE]]",
            "[[Catégorie:Gène du chromosome 4 humain]]",
            "[[Catégorie:Hépatologie]]",
            "[[Catégorie:Anti-inflammatoire]]",
            "{{Portail|Médecine|France}}",
            "{{portail |biologie cellulaire et moléculaire}}",
            "{{Portail médecine}}",
            "{{Infobox Maladie\n| nom = x}}",
            "{{infobox médicament<!-- c -->|nom=x}}",
            "{{Drugbox|nom=x}}",
            "{{Taxobox}}[[Catégorie:Virus]]",
        ],
    )
    def test_biomedical(self, tmp_path: Path, text: str) -> None:
        assert read_one(tmp_path, f"Du texte.\n{text}").drop is None

    @pytest.mark.parametrize(
        ("text", "detail"),
        [
            ("Du texte.", "no category"),
            ("[[Catégorie:Pont]] [[Catégorie:Brive]]", "Pont; Brive"),
            ("{{Taxobox}}[[Catégorie:Plante médicinale]]", "Plante médicinale"),
            ("{{Portail|psychologie}}[[Catégorie:Livre]]", "Livre"),
            ("[[:Catégorie:Maladie]]", "no category"),
            ("[[Catégorie:Anatomie végétale]]", "Anatomie végétale"),
            (
                "{{Portail|médecine}}[[Catégorie:Médecin du XIXe siècle]]",
                "excluded by the category Médecin du XIXe siècle",
            ),
            ("{{Portail|médecine}}[[Catégorie:Décès en 1902]]", "excluded by the category Décès en 1902"),
            ("[[Catégorie:Virus informatique]]", "excluded by the category Virus informatique"),
            ("[[Catégorie:Film sur la santé]]{{Portail|santé}}", "excluded by the category Film sur la santé"),
            ("{{Portail|médecine}}[[Catégorie:Hôpital à Lyon]]", "excluded by the category Hôpital à Lyon"),
            ("{{Portail|médecine}}[[Catégorie:Liste en médecine]]", "excluded by the category Liste en médecine"),
        ],
    )
    def test_not_biomedical(self, tmp_path: Path, text: str, detail: str) -> None:
        article = read_one(tmp_path, text)
        assert article.drop == ("select", "not_biomedical", detail)
        assert article.paragraphs == []

    def test_all_keeps_what_is_an_article(self, tmp_path: Path) -> None:
        assert read_one(tmp_path, "[[Catégorie:Décès en 1902]]", select="all").drop is None

    def test_the_users_patterns_take_the_place_of_the_defaults(self, tmp_path: Path) -> None:
        text = "{{Infobox Pont}}{{Portail|rivières}}[[Catégorie:Pont à péage]]"
        assert read_one(tmp_path, text, categories=["^pont"]).drop is None
        assert read_one(tmp_path, text, categories=["PEAGE$"]).drop is None
        assert read_one(tmp_path, text, portals=["rivière"]).drop is None
        assert read_one(tmp_path, text, infoboxes=["pont"]).drop is None
        article = read_one(tmp_path, text, categories=["^pont"], exclude_categories=["péage"])
        assert article.drop == ("select", "not_biomedical", "excluded by the category Pont à péage")
        assert read_one(tmp_path, "[[Catégorie:Maladie]]", categories=[], portals=[], infoboxes=[]).drop is not None

    def test_a_wrong_pattern_is_named(self) -> None:
        with pytest.raises(ValidationError, match=r"'\(maladie' is no regular expression: missing \)"):
            WikipediaOptions(path=".", categories=("(maladie",))

    @pytest.mark.parametrize(
        ("written", "drop"),
        [
            (page("Bonjour.", namespace=1), ("select", "namespace", "namespace 1")),
            (page("#REDIRECTION [[Foie]]", redirect="Foie & œil"), ("select", "redirect", "to Foie & œil")),
            (page("#redirect [[Foie]]"), ("select", "redirect", "")),
            (page("{{Homonymie}}\n* [[Foie]]"), ("select", "disambiguation", "")),
            (page("* [[Foie]]\n{{homonymie de personnes}}"), ("select", "disambiguation", "")),
            (page("{{Disambiguation|medicine}}"), ("select", "disambiguation", "")),
        ],
    )
    @pytest.mark.parametrize("select", ["all", "biomedical"])
    def test_what_is_no_article(self, tmp_path: Path, written: str, drop: tuple[str, ...], select: str) -> None:
        (tmp_path / "frwiki-1.xml").write_text(dump(written))
        [article] = articles(tmp_path, select=select)
        assert article.drop == drop

    def test_a_note_on_other_meanings_makes_no_disambiguation_page(self, tmp_path: Path) -> None:
        article = read_one(tmp_path, "{{Voir homonymes|Foie}}{{Homonymes|x}}\nLe foie.\n[[Catégorie:Anatomie]]")
        assert article.drop is None


class TestWiki:
    """Which Wikipedia a dump is of."""

    @pytest.mark.parametrize(
        ("file", "base", "root", "options", "wiki", "language"),
        [
            ("dump.xml", "https://fr.wikipedia.org/wiki/Accueil", "en", {}, "fr", "fr"),
            ("frwiki-20240301.xml", "https://en.wikipedia.org/wiki/Main_Page", "en", {}, "fr", "fr"),
            ("frwiki-20240301.xml", "https://fr.wikipedia.org/wiki/A", "fr", {"language": "br"}, "br", "br"),
            ("simplewiki-20240301.xml", "https://simple.wikipedia.org/wiki/A", "en", {}, "simple", "en"),
            ("zh_yuewiki-20240301.xml", "https://zh-yue.wikipedia.org/wiki/A", "yue", {}, "zh-yue", "zh"),
            ("dump.xml", "https://exemple.org/A", "oc", {}, "oc", "oc"),
        ],
    )
    def test_option_then_file_name_then_address_then_root(
        self, tmp_path: Path, file: str, base: str, root: str, options: dict[str, str], wiki: str, language: str
    ) -> None:
        (tmp_path / file).write_text(dump(page("Texte."), base=base, language=root))
        [article] = articles(tmp_path, **options)
        assert (article.id, article.language) == (f"wikipedia:{wiki}:7", language)
        assert article.url == f"https://{wiki}.wikipedia.org/wiki/Rougeole"

    def test_a_dump_that_does_not_tell_is_refused_with_advice(self, tmp_path: Path) -> None:
        (tmp_path / "dump.xml").write_text(f"<mediawiki>{page('Texte.')}</mediawiki>")
        [refused] = read(tmp_path)
        assert isinstance(refused, Quarantined)
        assert "says which Wikipedia" in refused.error
        assert refused.hint == "set the option language: fr"
        assert [article.id for article in articles(tmp_path, language="fr")] == ["wikipedia:fr:7"]


class TestFiles:
    PAGES = tuple(page(f"Page {n}.\n[[Catégorie:Maladie]]", title=f"Titre {n}", number=n) for n in range(40))

    def titles(self, folder: Path) -> list[str]:
        return [article.title for article in articles(folder)]

    def test_multistream_is_read_as_one(self, tmp_path: Path) -> None:
        whole = dump(*self.PAGES).encode()
        cuts = [0, 180, 1000, 1001, 5000, len(whole)]
        streams = [bz2.compress(whole[start:end]) for start, end in itertools.pairwise(cuts)]
        (tmp_path / "frwiki-1-pages-articles-multistream.xml.bz2").write_bytes(b"".join(streams))
        assert self.titles(tmp_path) == [f"Titre {n}" for n in range(40)]

    def test_the_parts_of_a_dump_are_read_and_its_index_is_not(self, tmp_path: Path) -> None:
        parts = {
            "frwiki-1-pages-articles1.xml-p1p20.bz2": dump(*self.PAGES[:20]),
            "frwiki-1-pages-articles2.xml-p21p40.bz2": dump(*self.PAGES[20:]),
            "frwiki-1-pages-articles-multistream-index.txt.bz2": "180:0:Titre 0\n",
        }
        for name, content in parts.items():
            (tmp_path / name).write_bytes(bz2.compress(content.encode()))
        reader = WikipediaReader(str(tmp_path))
        found = [item for file in reader.files() for item in reader.read_file(file)]
        assert [item.record for item in found] == [*range(20), *range(20)]
        assert reader.ignored == {".txt": 1}

    def test_utf_16(self, tmp_path: Path) -> None:
        (tmp_path / "dump.xml").write_bytes(dump(page("Hé.\n[[Catégorie:Génétique]]")).encode("utf-16"))
        [article] = articles(tmp_path)
        assert (article.id, article.paragraphs[0].text, article.drop) == ("wikipedia:fr:7", "Hé.", None)

    def test_latin_1(self, tmp_path: Path) -> None:
        declared = '<?xml version="1.0" encoding="iso-8859-1"?>' + dump(page("Hé.\n[[Catégorie:Génétique]]"))
        (tmp_path / "dump.xml").write_bytes(declared.encode("latin-1"))
        [article] = articles(tmp_path)
        assert (article.subjects, article.paragraphs[0].text) == (["category:Génétique"], "Hé.")

    def test_a_broken_page_is_quarantined_and_the_next_is_read(self, tmp_path: Path) -> None:
        pages = list(self.PAGES[:5])
        pages[1] = pages[1].replace("<revision>", "<revision><oups>")
        pages[2] = pages[2].replace("<title>Titre 2</title>", "")
        pages[3] = page("{{unité|1|mg}} " * 20_000 + "[[Catégorie:Maladie]]", title="Titre 3", number=3)
        (tmp_path / "frwiki-1.xml").write_text(dump(*pages))
        found = read(tmp_path)
        assert [item.record if isinstance(item, Quarantined) else item.title for item in found] == [
            "Titre 0",
            "page 1 (Titre 1)",
            "page number 2",
            "page 3 (Titre 3)",
            "Titre 4",
        ]
        errors = [item.error for item in found if isinstance(item, Quarantined)]
        assert "XMLSyntaxError" in errors[0]
        assert errors[1] == "a page without title and id"
        assert "markup: too long" in errors[2]

    @pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
    def test_a_cut_dump_gives_what_comes_before_the_cut(self, tmp_path: Path, compress: type[bytes]) -> None:
        # Text that hardly compresses, so that the cut is far behind the first pages.
        noise = random.Random(0)
        pages = [page(f"{noise.randbytes(2500).hex()}\n[[Catégorie:Maladie]]", number=n) for n in range(600)]
        whole = compress(dump(*pages).encode())
        (tmp_path / "frwiki-1.xml").write_bytes(whole[: len(whole) * 3 // 4])
        found = read(tmp_path)
        assert isinstance(found[-1], Quarantined)
        assert [item.id for item in found[:-1] if isinstance(item, Article)] == [
            f"wikipedia:fr:{n}" for n in range(len(found) - 1)
        ]
        assert 300 < len(found) <= 452

    def test_an_entity_bomb_stays_small(self, tmp_path: Path) -> None:
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + dump(
            page("x").replace(">x<", ">&b;[[Catégorie:Maladie]]<"), page("Suite.\n[[Catégorie:Maladie]]", number=8)
        )
        (tmp_path / "frwiki-1.xml").write_text(bomb)
        first, second = read(tmp_path)
        assert not isinstance(first, Article) or "aaaa" not in first.text
        assert isinstance(second, Article)
        assert second.text == "Suite."


class TestSample:
    def found(self, path: Path) -> dict[str, Article]:
        return {article.title: article for article in articles(path)}

    def test_what_is_kept_and_why_the_rest_is_not(self) -> None:
        found = self.found(Path(str(SAMPLE)))
        assert {title: len(article.paragraphs) for title, article in found.items() if not article.drop} == {
            "Drépanocytose": 13,
            "Warfarine": 12,
            "Nerf vague": 9,
            "Méningite à méningocoque": 7,
            "Échocardiographie": 5,
            "Syndrome de Guillain-Barré": 7,
            "Hépatite E": 6,
            "Calcémie": 7,
            "Thrombopénie": 3,
        }
        assert {title: article.drop.reason for title, article in found.items() if article.drop} == {
            "Anémie falciforme": "redirect",
            "Discussion:Nerf vague": "namespace",
            "Calcul": "disambiguation",
            "Viaduc de Vaubreuil": "not_biomedical",
            "Éloi Marchadier": "not_biomedical",
        }
        total = sum((article.skipped for article in found.values()), Counter())
        assert total == {
            "template": 25,
            "reference": 11,
            "navigation": 10,
            "markup": 4,
            "image": 2,
            "formula": 2,
            "table": 1,
            "gallery": 1,
        }

    def test_sentences_with_templates_are_whole(self) -> None:
        found = self.found(Path(str(SAMPLE)))
        first = found["Calcémie"].paragraphs[0].text
        assert first.endswith("seule la fraction ionisée, Ca²⁺, est active.")
        assert "maintenue entre 2,20 mmol/L et 2,60 mmol/L, soit de 88 à 104 mg/L, par" in first
        vague = found["Nerf vague"].paragraphs[0]
        assert vague.text.startswith("Le nerf vague (nervus vagus), dixième nerf crânien ou nerf X, est le plus long")
        broken = found["Thrombopénie"].paragraphs
        assert "au-dessous de 20 G/L. La transfusion" in broken[2].text
        assert "traitement par héparine, dont l'arrêt" in broken[1].text

    def test_in_bz2_streams_of_a_few_pages_it_reads_the_same(self, tmp_path: Path) -> None:
        whole = SAMPLE.read_bytes()
        cuts = [0, *(found.start() for found in re.finditer(rb"  <page>", whole)), len(whole)][::3]
        streams = [bz2.compress(whole[start:end]) for start, end in itertools.pairwise(cuts)]
        assert len(streams) == 5
        (tmp_path / "frwiki-sample-pages-articles.xml.bz2").write_bytes(b"".join(streams))
        assert articles(tmp_path) == articles(Path(str(SAMPLE)))


class TestRealDumps:
    """Minidumps, whose siteinfo says enwiki whatever they are of. Counts by hand, from the source of the pages."""

    def test_every_page_is_accounted_for(self, real_data: Path) -> None:
        found = articles(real_data / "wikipedia", select="all")
        assert Counter((a.file[:6], a.language, a.drop.reason if a.drop else "kept") for a in found) == {
            ("enwiki", "en", "kept"): 23,
            ("enwiki", "en", "redirect"): 2,
            ("enwiki", "en", "namespace"): 1,
            ("enwiki", "en", "disambiguation"): 1,
            ("frwiki", "fr", "kept"): 3,
            ("ocwiki", "oc", "kept"): 1,
            ("simple", "en", "kept"): 1,
        }
        assert Counter(a.drop.reason for a in articles(real_data / "wikipedia") if a.drop) == {
            "not_biomedical": 28,
            "redirect": 2,
            "namespace": 1,
            "disambiguation": 1,
        }

    def test_paragraphs(self, real_data: Path) -> None:
        found = {a.id: a for a in articles(real_data / "wikipedia", select="all")}
        counts = {
            id: (
                sum(p.kind == "body" for p in found[id].paragraphs),
                sum(p.kind == "list" for p in found[id].paragraphs),
            )
            for id in ("wikipedia:fr:3", "wikipedia:oc:5111", "wikipedia:simple:2922")
        }
        assert counts == {
            "wikipedia:fr:3": (12, 16),
            "wikipedia:oc:5111": (2, 5),
            "wikipedia:simple:2922": (6, 35),
        }
        meillet = found["wikipedia:fr:3"].paragraphs
        assert meillet[0].text == (
            "Paul Jules Antoine Meillet, né le 11 novembre 1866 à Moulins (Allier) et mort le 21 septembre 1936 à "
            "Châteaumeillant (Cher), est le principal linguiste français des premières décennies du XXe siècle. "
            "Il est aussi philologue."
        )
        assert meillet[3].text == "En 1889, il est major de l'agrégation de grammaire."
        assert meillet[15].text == "1920, le 19 janvier, il crée la Revue des études arméniennes avec Frédéric Macler."

    def test_no_markup_is_left(self, real_data: Path) -> None:
        leftover = re.compile(r"\[\[|\]\]|\{\{|\}\}|''|</?(?:ref|br|small|div|span)\b|\||\(\s*\)|  |__[A-Z]+__")
        paragraphs = [p for a in articles(real_data / "wikipedia", select="all") for p in a.paragraphs]
        assert len(paragraphs) == 2363
        assert [p.text for p in paragraphs if leftover.search(p.text)] == []
