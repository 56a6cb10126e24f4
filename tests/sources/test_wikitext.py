from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.records import Paragraph
from corpuskit.sources import wikitemplates, wikitext


def read(source: str) -> tuple[list[Paragraph], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(wikitext.paragraphs(source, skipped)), skipped


def texts(source: str) -> list[str]:
    return [paragraph.text for paragraph in read(source)[0]]


def span(paragraph: Paragraph) -> tuple[int, int]:
    start, end = paragraph.path.removeprefix("char=").split(",")
    return int(start), int(end)


PAGE = """{{Infobox Maladie
| nom = Rougeole
| image = [[Fichier:Eruption.jpg|vignette]]
}}
La '''rougeole''' est une [[maladie infectieuse|maladie]] [[virus|virale]]<ref name="a">Un [[livre]] {{p.|3}}.</ref>.

== Signes ==
[[Fichier:Koplik.jpg|vignette|Signe de [[Henry Koplik|Koplik]] après {{unité|2|jours}}]]
Elle commence par :
* une fièvre de {{tmp|39|°C}} ;
* une ''toux''<ref name="a" />.
<!-- à compléter
-->
{| class="wikitable"
| a || b
{|
| imbriquée
|}
|}

=== Évolution ===
Elle guérit
en dix jours.

== Voir aussi ==
Un article.
=== Bibliographie ===
* Un livre.
== Histoire ==
Rhazès la décrit.
{{Portail|médecine}}
[[Catégorie:Maladie virale]]
"""


def test_a_page_becomes_its_paragraphs_in_order() -> None:
    paragraphs, skipped = read(PAGE)
    assert [(p.kind, p.section, p.text) for p in paragraphs] == [
        ("body", "", "La rougeole est une maladie virale."),
        ("body", "Signes", "Elle commence par :"),
        ("list", "Signes", "une fièvre de 39 °C ;"),
        ("list", "Signes", "une toux."),
        ("body", "Évolution", "Elle guérit en dix jours."),
        ("body", "Histoire", "Rhazès la décrit."),
    ]
    assert skipped == {"template": 2, "reference": 3, "image": 1, "table": 1, "navigation": 1}


def test_the_path_is_the_place_in_the_source() -> None:
    paragraphs, _ = read(PAGE)
    assert [PAGE[slice(*span(p))] for p in paragraphs] == [
        "La '''rougeole''' est une [[maladie infectieuse|maladie]] [[virus|virale]]"
        '<ref name="a">Un [[livre]] {{p.|3}}.</ref>.',
        "Elle commence par :",
        "* une fièvre de {{tmp|39|°C}} ;",
        "* une ''toux''<ref name=\"a\" />.",
        "Elle guérit\nen dix jours.",
        "Rhazès la décrit.",
    ]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{unité|10|mg}}", "10 mg"),
        ("{{Unité|51936|km|2}}", "51 936 km²"),
        ("{{unité|4203 hab./km 2}}", "4 203 hab./km²"),
        ("{{unité|2,4 t de CO2}}", "2,4 t de CO2"),
        ("{{unité|30|m||s|-1}}", "30 m·s⁻¹"),
        ("{{unité|1.5|µg|e=-3}}", "1,5 × 10⁻³ µg"),
        ("{{nombre|1000}}", "1 000"),
        ("{{formatnum:461.432}}", "461,432"),
        ("{{formatnum:3,671,000}}", "3,671,000"),
        ("{{tmp|-26|°C}}", "-26 °C"),
        ("{{pourcent|12.5}}", "12,5 %"),
        ("{{date|1|janvier|2000|en médecine}}", "1er janvier 2000"),
        ("{{date-|1 janvier 1995}}", "1er janvier 1995"),
        ("{{date|14|7|1789}}", "14 juillet 1789"),
        ("{{date|1815}}", "1815"),
        ("{{s|XIX|e}}", "XIXe siècle"),
        ("{{s-|I}}", "Ier siècle"),
        ("{{-s|V|e}}", "Ve siècle av. J.-C."),
        ("{{sp|XVIII|e|et|XIX|e|s}}", "XVIIIe et XIXe siècles"),
        ("{{XXe siècle}} {{1er}} {{43e}} 2{{e}}", "XXe siècle 1er 43e 2e"),
        ("{{heure|14|30}}", "14 h 30"),
        ("{{durée|0|20}}", "20 min"),
        ("{{lang|en|''borderline''}}", "borderline"),
        ("{{lang-en|stroke}}", "stroke"),
        ("{{citation|un {{nobr|mot}}}}", "« un mot »"),
        ("{{incise|rare}}", "– rare –"),
        ("d'usage{{refnec| courant|date=mai}}", "d'usage courant"),
        ("{{abréviation discrète|VIH|virus}}", "VIH"),
        ("{{lien|langue=en|trad=Shock index|texte=indice de choc}}", "indice de choc"),
        ("{{lien|langue=en|trad=Shock index}}", "Shock index"),
        ("{{formule chimique|H|2|O}} {{fchim|Ca|2+}} {{CO2}}", "H2O Ca²⁺ CO2"),
        ("m{{exp|2}} et 10<sup>9</sup>/L de CO<sub>2</sub>, XIX<sup>e</sup>", "m² et 10⁹/L de CO2, XIXe"),
        ("{{Dr}} Roux, {{Mme|Curie}}, {{p.|12}}, {{n°|3}}", "Dr Roux, Mme Curie, p. 12, n° 3"),
        ("l{{'}}''Iliade''", "l’Iliade"),
        ("{{«}} a {{»}} b{{nbsp}}c", "« a » b c"),
        ("{{convert|5|km|mi}}, {{cvt|2|to|3|km|mi}}", "5 km, 2 to 3 km"),
        ("{{frac|1|2}} {{euro}} {{x10|6}}", "1/2 € × 10⁶"),
    ],
)
def test_a_template_of_the_sentence_shows_its_text(source: str, shown: str) -> None:
    paragraphs, skipped = read(f"Avant {source} après")
    assert [p.text for p in paragraphs] == [f"Avant {shown} après"]
    assert not skipped


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Le foie ({{API|}}{{MonModèle|x}}) filtre.", "Le foie filtre."),
        ("Le foie ({{M1|x}}, {{M2|y}} ; en latin ''iecur'') filtre.", "Le foie (en latin iecur) filtre."),
        ("Le foie (''iecur'' ; {{M1|x}}) filtre.", "Le foie (iecur) filtre."),
        ("Le foie {{M1|x}} filtre.", "Le foie filtre."),
        ("Le foie filtre {{M1|x}}.", "Le foie filtre."),
        ("Il filtre, {{ISBN|2}}.", "Il filtre."),
        ("Selon Bernoulli, <math>4 V^2</math>, le gradient.", "Selon Bernoulli, le gradient."),
        ("Il filtre<ref>a</ref>{{,}}<ref>b</ref> ; oui.", "Il filtre ; oui."),
        ("Phrase ... et (c'est rare) ou [sic] .", "Phrase ... et (c'est rare) ou [sic] ."),
    ],
)
def test_what_is_taken_out_leaves_no_hole(source: str, text: str) -> None:
    assert texts(source) == [text]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[[médecin]]s et [[foie|hépatiques]]", "médecins et hépatiques"),
        ("[[:Catégorie:Foie|foie]] [[a|{{unité|2|kg}}]]", "foie 2 kg"),
        ("[https://exemple.org le site] [https://exemple.org] http://exemple.org", "le site http://exemple.org"),
        ("l'''Iliade'' et '''gras''' d''''os'''", "l'Iliade et gras d'os"),
        ("a <small>b</small><br />c <span style='x'>d</span> e<nowiki/>f", "a b c d ef"),
        ("écrit <nowiki>[a]</nowiki> et <nowiki>''[[b]]''</nowiki>", "écrit [a] et b"),
        ("5&nbsp;g &lt; 6 g, p < 0,05 et <n", "5 g < 6 g, p < 0,05 et <n"),
        ("a __NOTOC__ b <!-- c --> d", "a b d"),
        ("x [[en:Liver]] y [[Catégorie:Foie|*]]", "x y"),
        ("<poem>un\ndeux</poem>", "un deux"),
    ],
)
def test_inline_markup_is_read(source: str, text: str) -> None:
    assert texts(source) == [text]


def test_a_comment_line_does_not_end_a_paragraph() -> None:
    assert texts("un\n<!-- trois -->\ndeux\n\nquatre") == ["un deux", "quatre"]


def test_a_quotation_is_one_paragraph_over_its_lines() -> None:
    paragraphs, _ = read("{{Citation bloc|un\n\n* deux<ref>r</ref>}}\n<blockquote>trois</blockquote>")
    assert [(p.kind, p.text) for p in paragraphs] == [("quote", "un * deux trois")]
    assert [p.kind for p in read("<blockquote>trois</blockquote>")[0]] == ["quote"]


def test_every_kind_of_list_is_a_list() -> None:
    paragraphs, _ = read("* a\n** b\n# c\n; d\n: e\n*: f\n\ng")
    assert [(p.kind, p.text) for p in paragraphs] == [(kind, text) for text in "abcdef" for kind in ["list"]] + [
        ("body", "g")
    ]


def test_broken_markup_costs_its_line_and_is_counted() -> None:
    source = (
        "{{Infobox Maladie\n| nom = x\n| image = \n\nUn {{unité|150|G/L.\n\n"
        '{| class="x"\n! a\n|-\n| b\n\nUne [[rate et [[foie|un foie]], la fin.\n\n'
        "[[Fichier:a.jpg|vignette|légende\n\nFin."
    )
    paragraphs, skipped = read(source)
    assert [p.text for p in paragraphs] == ["Un 150 G/L.", "Une rate et un foie, la fin.", "Fin."]
    assert skipped == {"markup": 5}


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 100_000,
        "}}" * 100_000,
        "[[" * 50_000 + "}}" * 50_000,
        "[[a|" * 50_000,
        "a {{" * 50_000,
        "{|\n" * 50_000,
        "<ref>" * 50_000,
        "<!--" * 50_000,
        "<b>" * 50_000,
        "<small>a " * 50_000,
        "'" * 200_000,
        "'' '''" * 30_000,
        "=" * 200_000,
        "({{x}}" + ", " * 100_000,
        " " * 200_000 + "{{x}}",
        "{{x}} " * 50_000,
        "{{citation|" * 5_000 + "x" + "}}" * 5_000,
    ],
    ids=lambda source: source[:8],
)
def test_pathological_input_is_read_in_linear_time(source: str) -> None:
    # Each of these would take minutes or overflow the stack where it is not linear.
    assert sum(len(text) for text in texts(source)) <= len(source)


def test_a_paragraph_too_long_for_the_parser_is_refused() -> None:
    source = "Avant.\n\n" + "{{unité|1|mg}} " * 20_000
    with pytest.raises(ValueError, match="paragraph at character 8 has 299,999 characters and markup: too long"):
        texts(source)
    assert len(texts("mot " * 100_000)[0]) == 399_999


WORDS = st.lists(st.text("abcdeé", min_size=1, max_size=6), min_size=1, max_size=8).map(" ".join)
PIECES = st.sampled_from(
    ["{{", "}}", "[[", "]]", "{|", "|}", "|", "\n", "\n\n", "<ref>", "</ref>", "<!--", "-->", "''", "'''", "==",
     "* ", "<nowiki>", "</nowiki>", "{{unité|", "[[Fichier:", "mot", " ", "(", ")", "<table>", "</table>", "&amp;", "é",
     "<br/>"]
)  # fmt: skip


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_plain_text_comes_back_as_it_is(written: list[str]) -> None:
    assert texts("\n\n".join(written)) == written


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=300)
def test_any_markup_gives_ordered_spans_and_no_leftover(source: str) -> None:
    paragraphs, _ = read(source)
    at = 0
    for paragraph in paragraphs:
        start, end = span(paragraph)
        assert at <= start < end <= len(source)
        assert source[start:end].strip() == source[start:end]
        assert not any(mark in paragraph.text for mark in ("[[", "]]", "{{", "}}", "''", "|", "<ref", "\n", "  "))
        at = end


@given(st.text(max_size=200))
def test_any_text_at_all_is_read(source: str) -> None:
    for paragraph in read(source)[0]:
        assert paragraph.text == " ".join(paragraph.text.split())


def test_an_unknown_template_is_no_part_of_the_prose() -> None:
    assert wikitemplates.shown("Article détaillé") is None
    assert wikitemplates.shown("DEFAULTSORT:Foie") is None
    assert wikitemplates.shown("de") is None
    assert wikitemplates.shown("De") is None
