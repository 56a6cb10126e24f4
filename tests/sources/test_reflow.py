"""Reflow of text extracted from a PDF: each trouble by a literal case, then the laws that hold for any text."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.sources.reflow import Reflowed, reflow
from corpuskit.sources.reflow.hyphenation import Hyphenation
from corpuskit.sources.reflow.pages import LIGATURES

GOLD = Path(__file__).parents[2] / "benchmarks" / "data" / "reflow"

# Full lines that teach the width of the column, to stand before the lines of a case.
COLUMN = """\
Introduction
La tuberculose demeure une cause majeure de mortalité dans le monde, et son
diagnostic repose encore sur l'examen direct des crachats, dont on sait qu'il
manque de sensibilité chez les malades qui sont infectés par le virus de
l'immunodéficience humaine. La culture reste donc indispensable, mais son délai
est long et ses résultats arrivent souvent trop tard pour guider la première
prescription du clinicien qui prend en charge le malade à son arrivée dans le
service. Les techniques d'amplification génique ont changé cette situation en
quelques années.
"""


def texts(raw: str, kind: str = "body") -> list[str]:
    return [block.text for block in reflow(raw).blocks if block.kind == kind]


def kinds(raw: str) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in reflow(raw).blocks]


def removed(raw: str) -> list[tuple[str, str]]:
    return [(raw[start:end], why) for start, end, why in reflow(raw).removed]


# Lines and words


def test_hard_line_breaks_inside_a_sentence_are_spaces() -> None:
    raw = "Les malades ont été inclus dans\nl'étude après avoir donné leur\naccord écrit.\n"
    assert texts(raw) == ["Les malades ont été inclus dans l'étude après avoir donné leur accord écrit."]


def test_spans_reach_from_the_first_to_the_last_character() -> None:
    raw = "\n  La fièvre avait disparu\n  en deux jours.  \n"
    [block] = reflow(raw).blocks
    assert raw[block.start : block.end] == "La fièvre avait disparu\n  en deux jours."


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Le bilan physio-\nlogique était normal.", "Le bilan physiologique était normal."),
        ("Un traitement anti-\ninflammatoire est prescrit.", "Un traitement anti-inflammatoire est prescrit."),
        ("Il est guéri, c'est-à-\ndire sans séquelle.", "Il est guéri, c'est-à-dire sans séquelle."),
        ("Il avait vingt-\ncinq ans.", "Il avait vingt-cinq ans."),
        ("Le syndrome de Guillain-\nBarré est rare.", "Le syndrome de Guillain-Barré est rare."),
        ("Le dosage de l'IL-\n6 est élevé.", "Le dosage de l'IL-6 est élevé."),
        ("Celui-\nci est stable.", "Celui-ci est stable."),
        ("Un nouveau-\nné de trois jours.", "Un nouveau-né de trois jours."),
        ("La jour-\nnée fut calme.", "La journée fut calme."),
        ("Le lobe antéro-\ninférieur du foie.", "Le lobe antéro-inférieur du foie."),
        ("Une thoraco-\ntomie a été faite.", "Une thoracotomie a été faite."),
        ("L'axe médico-\nsocial est renforcé.", "L'axe médico-social est renforcé."),
        ("Une contre-\nindication est connue.", "Une contre-indication est connue."),
        ("La phase pré- et post-\nopératoire immédiate.", "La phase pré- et postopératoire immédiate."),
        ("En phase pré-\net postopératoire.", "En phase pré- et postopératoire."),
        ("La natré\u00ad\nmie est basse.", "La natrémie est basse."),
        ("La na\u00adtrémie est basse.", "La natrémie est basse."),
        ("Le malade a reçu l'\noxygène au masque.", "Le malade a reçu l'oxygène au masque."),
        ("La dose de 5 mg/\nkg est atteinte.", "La dose de 5 mg/kg est atteinte."),
        ("Il a vu - le jour même -\nson médecin.", "Il a vu - le jour même - son médecin."),
        ("Une aﬀection diﬃcile à déﬁnir, à ﬂux lent.", "Une affection difficile à définir, à flux lent."),
    ],
)
def test_words_cut_at_the_line_end(raw: str, text: str) -> None:
    assert [block.text for block in reflow(raw).blocks] == [text]


def test_the_document_itself_decides_on_a_hyphen() -> None:
    cut = "Le suivi post-\nopératoire est simple."
    assert reflow(f"{cut}\n\nLe délai post-opératoire est court.").blocks[0].text.startswith("Le suivi post-opératoire")
    assert (
        reflow(f"{cut}\n\nLes délais postopératoires sont courts.").blocks[0].text.startswith("Le suivi postopératoire")
    )


def test_a_word_cut_elsewhere_is_no_evidence() -> None:
    hyphenation = Hyphenation(["le micro-", "scope et le microscope", "puis le micro-"])
    assert not hyphenation.keeps("micro", "scope")


def test_english_words_are_joined_where_french_rules_would_keep_them() -> None:
    raw = "The risk of recurrence was evaluated with a pre-\nexisting and para-\nallel cohort in the study."
    assert "paraallel" in reflow(raw).blocks[0].text


# Running heads and page numbers


def paged(*pages: str) -> str:
    """Pages of twenty lines and more, cut in the middle of a sentence, as the heads between them are given."""
    lines = [f"la ligne numéro {n} de ce récit se poursuit sans que rien ne vienne l'arrêter" for n in range(20)]
    body = "\n".join(lines)
    return "Le récit commence ici et\n" + "".join(f"{body}\n{page}\n" for page in pages) + body + "\net finit ici."


def test_running_heads_that_alternate_are_removed_and_the_paragraph_goes_on() -> None:
    heads = [
        "132 J. Morel et al.",
        "Tuberculose du sujet âgé 133",
        "134 J. Morel et al.",
        "Tuberculose du sujet âgé 135",
    ]
    raw = paged(*heads)
    assert len(texts(raw)) == 1
    assert removed(raw) == [(head, "running head") for head in heads]


def test_the_title_stays_though_it_runs_over_every_page() -> None:
    title = "La tuberculose du sujet âgé en Bretagne"
    pages = paged("", f"\n{title}\n", f"\n{title}\n", f"\n{title}\n")
    found = reflow(f"{title}\nC. Morel, H. Garnier\nIntroduction\n{pages}")
    assert [block.text for block in found.blocks if block.kind == "title"] == [title]
    assert [why for _, _, why in found.removed] == ["heading", "running head", "running head", "running head"]


def test_a_head_that_comes_once_is_told_by_its_page_number() -> None:
    raw = paged("la fin.\n\n132 J. Morel et al.\n", "la fin.\n\nTuberculose du sujet âgé 133\n\nLa suite est ici et")
    assert [text for text, _ in removed(raw)] == ["132 J. Morel et al.", "Tuberculose du sujet âgé 133"]


def test_journal_lines_and_copyright_are_removed_where_they_stand() -> None:
    raw = paged("Presse Med 2003 ; 32 : 131-5\n© Masson, Paris, 2003")
    assert len(texts(raw)) == 1
    assert removed(raw) == [("Presse Med 2003 ; 32 : 131-5", "running head"), ("© Masson, Paris, 2003", "copyright")]


def test_lone_page_numbers_are_told_from_other_numbers() -> None:
    raw = paged("\n- 12 -\n", "\n- 13 -\n", "\n- 14 -\n")
    assert removed(raw) == [("- 12 -", "page number"), ("- 13 -", "page number"), ("- 14 -", "page number")]
    assert removed("La fièvre atteignait\n39\nle soir.") == []


def test_form_feeds_show_where_heads_stand_even_when_each_comes_once() -> None:
    raw = paged("\n145\n\f146    H. Garnier et coll.", "\n\fColchicine et grossesse    147")
    assert [text for text, _ in removed(raw)] == ["145", "146    H. Garnier et coll.", "Colchicine et grossesse    147"]
    assert len(texts(raw)) == 1


def test_blank_lines_at_a_page_break_do_not_end_a_sentence() -> None:
    raw = COLUMN.rstrip()[:-1] + " et de nombreux\n\n\f\n\nlaboratoires les utilisent déjà.\n"
    assert len(texts(raw)) == 1


def test_numbered_headings_and_observations_are_no_running_heads() -> None:
    filler = "\n".join(COLUMN.splitlines()[1:]) + "\n"
    raw = "Introduction\n" + "".join(f"\nObservation {n}\n\n{filler}{filler}" for n in (1, 2, 3))
    assert ("Observation 2", "heading") in removed(raw)
    assert "running head" not in [why for _, why in removed(raw)]


def test_a_citation_among_the_references_is_no_running_head() -> None:
    raw = "Références\n1. Morel C. La colchicine.\nPresse Med 2003 ; 32 : 131-5\n2. Garnier H. Le lupus.\n"
    assert texts(raw, "reference") == [
        "1. Morel C. La colchicine. Presse Med 2003 ; 32 : 131-5",
        "2. Garnier H. Le lupus.",
    ]


# Paragraphs


def test_a_paragraph_ends_where_the_next_word_had_room() -> None:
    raw = (
        COLUMN + "Une étude a été menée.\nElle portait sur tous les malades qui avaient été admis pendant une année.\n"
    )
    assert texts(raw)[1:] == [
        "Une étude a été menée.",
        "Elle portait sur tous les malades qui avaient été admis pendant une année.",
    ]


def test_a_sentence_that_ends_with_a_full_line_does_not_end_the_paragraph() -> None:
    raw = COLUMN + (
        "Une étude a été menée dans douze centres du nord de la France pendant trois ans.\n"
        "Elle portait sur tous les malades de plus de quinze ans.\n"
    )
    assert len(texts(raw)) == 2


def test_an_indent_opens_a_paragraph_after_a_full_line() -> None:
    raw = COLUMN + (
        "   Une étude a été menée dans douze centres du nord de la France pendant trois ans.\n"
        "   Elle portait sur tous les malades de plus de quinze ans.\n"
    )
    assert len(texts(raw)) == 3


def test_blank_lines_between_all_lines_mean_nothing() -> None:
    assert texts(COLUMN.replace("\n", "\n\n")) == texts(COLUMN)


def test_an_abbreviation_ends_no_sentence() -> None:
    raw = (
        COLUMN
        + "Ce résultat a été établi dans plusieurs pays par Morel et al.\nDans une autre étude, il ne l'était pas.\n"
    )
    assert texts(raw)[1].endswith("par Morel et al. Dans une autre étude, il ne l'était pas.")


# Parts of an article

ARTICLE = """\
Article original
Embolie pulmonaire du sujet âgé : étude
rétrospective de 84 dossiers
C. Morel 1, P. Garnier 2
1 Service de pneumologie, hôpital Nord, 13015
Marseille, France
E-mail : c.morel@exemple.fr
Reçu le 3 mars 2003 ; accepté le 4 mai 2003
Résumé
L'embolie pulmonaire est fréquente et
grave après 80 ans.
Mots clés : embolie pulmonaire ; sujet âgé
Summary
Pulmonary embolism is common and
severe after 80.
Key words: pulmonary embolism; elderly
1. Introduction
L'embolie pulmonaire tue encore de nombreux
malades chaque année en France.
2. Patients et méthodes
2.1. Critères d'inclusion
Les dossiers des malades admis en un an ont été
relus par deux médecins.
Remerciements : à Mme Le Bihan.
Conflits d'intérêts
Aucun.
Références
[1] Morel C. L'embolie. Presse
Med 2001 ; 30 : 12-5.
[2] Garnier P. Le sujet âgé. Paris : Masson ; 1999.
"""


def test_the_parts_of_an_article_are_told_apart() -> None:
    found = reflow(ARTICLE)
    assert [(block.kind, block.section, block.text) for block in found.blocks] == [
        ("front", "", "Article original"),
        ("title", "", "Embolie pulmonaire du sujet âgé : étude rétrospective de 84 dossiers"),
        ("front", "", "C. Morel 1, P. Garnier 2"),
        ("front", "", "1 Service de pneumologie, hôpital Nord, 13015 Marseille, France"),
        ("front", "", "E-mail : c.morel@exemple.fr"),
        ("front", "", "Reçu le 3 mars 2003 ; accepté le 4 mai 2003"),
        ("abstract", "Résumé", "L'embolie pulmonaire est fréquente et grave après 80 ans."),
        ("front", "Résumé", "Mots clés : embolie pulmonaire ; sujet âgé"),
        ("abstract", "Summary", "Pulmonary embolism is common and severe after 80."),
        ("front", "Summary", "Key words: pulmonary embolism; elderly"),
        ("body", "1. Introduction", "L'embolie pulmonaire tue encore de nombreux malades chaque année en France."),
        (
            "body",
            "2.1. Critères d'inclusion",
            "Les dossiers des malades admis en un an ont été relus par deux médecins.",
        ),
        ("back", "Remerciements", "Remerciements : à Mme Le Bihan."),
        ("back", "Conflits d'intérêts", "Aucun."),
        ("reference", "Références", "[1] Morel C. L'embolie. Presse Med 2001 ; 30 : 12-5."),
        ("reference", "Références", "[2] Garnier P. Le sujet âgé. Paris : Masson ; 1999."),
    ]
    assert [ARTICLE[start:end] for start, end, why in found.removed if why == "heading"] == [
        "Résumé",
        "Summary",
        "1. Introduction",
        "2. Patients et méthodes",
        "2.1. Critères d'inclusion",
        "Conflits d'intérêts",
        "Références",
    ]


def test_an_abstract_that_starts_on_the_line_of_its_heading() -> None:
    raw = "Résumé. – La fièvre est un signe.\nAbstract: Fever is a sign.\nIntroduction\nLa fièvre est fréquente.\n"
    assert [(block.kind, block.section) for block in reflow(raw).blocks] == [
        ("abstract", "Résumé"),
        ("abstract", "Abstract"),
        ("body", "Introduction"),
    ]


def test_the_headings_of_a_structured_abstract_stay_in_it() -> None:
    abstract = "Résumé\nObjectif\nDécrire les cas.\nRésultats\nTout va bien.\nMots clés : cas\n"
    raw = abstract + "Introduction\nIl était une fois.\n"
    assert [(block.kind, block.section) for block in reflow(raw).blocks] == [
        ("abstract", "Objectif"),
        ("abstract", "Résultats"),
        ("front", "Résultats"),
        ("body", "Introduction"),
    ]


def test_headings_of_unknown_words() -> None:
    raw = (
        COLUMN
        + "Critères de jugement principal\n"
        + "La mortalité à trois mois a été retenue, car elle est facile à recueillir et\nsans ambiguïté.\n"
        + "ANALYSE DES DONNÉES MANQUANTES\n"
        + "Aucune donnée ne manquait.\n"
        + "2.3. L'imputation est-elle utile ?\n"
        + "Elle ne l'est pas.\n"
    )
    assert [block.section for block in reflow(raw).blocks] == [
        "Introduction",
        "Critères de jugement principal",
        "ANALYSE DES DONNÉES MANQUANTES",
        "2.3. L'imputation est-elle utile ?",
    ]


def test_captions_and_tables_that_cut_a_sentence_lie_in_its_span() -> None:
    raw = (
        COLUMN
        + "Les malades traités par une antibiothérapie prolongée étaient plus souvent\n"
        + "Tableau I. Caractéristiques des malades.\n"
        + "Variable    Cas    Témoins\n"
        + "Âge moyen (ans)    72,4    70,9\n"
        + "Sexe masculin    34    28\n"
        + "atteints d'un diabète.\n"
    )
    found = reflow(raw).blocks[1:]
    assert [(block.kind, block.text) for block in found] == [
        (
            "body",
            "Les malades traités par une antibiothérapie prolongée étaient plus souvent atteints d'un diabète.",
        ),
        ("caption", "Tableau I. Caractéristiques des malades."),
        ("table", "Variable Cas Témoins Âge moyen (ans) 72,4 70,9 Sexe masculin 34 28"),
    ]
    assert found[0].start < found[1].start < found[2].end < found[0].end


@pytest.mark.parametrize(
    "caption", ["Figure 1. Radiographie de face.", "Fig. 2 – Coupe axiale.", "Tableau IV : Causes."]
)
def test_captions(caption: str) -> None:
    assert ("caption", caption) in kinds(f"{COLUMN}{caption}\n")


def test_the_title_of_a_table_may_stand_on_the_next_line() -> None:
    raw = f"{COLUMN}Tableau II\nRépartition des malades\nHommes    12    14\nFemmes    10    13\n"
    assert kinds(raw)[1:] == [
        ("caption", "Tableau II Répartition des malades"),
        ("table", "Hommes 12 14 Femmes 10 13"),
    ]


def test_a_letter_is_signed_below() -> None:
    raw = f"{COLUMN}C. Morel, H. Garnier\nService d'hépatologie, hôpital Saint-Clair, 14000 Caen\n"
    assert kinds(raw)[1:] == [
        ("front", "C. Morel, H. Garnier"),
        ("front", "Service d'hépatologie, hôpital Saint-Clair, 14000 Caen"),
    ]


def test_a_patient_is_no_author() -> None:
    patient = "M. Dupont, 45 ans, est hospitalisé pour une fièvre et une toux."
    assert texts(f"Résumé\nUn cas est rapporté.\nMots clés : cas\n{patient}\n") == [patient]


def test_a_sentence_about_a_figure_is_no_caption() -> None:
    raw = COLUMN + "Figure 1 montre ce résultat, qui est aussi celui que l'on retrouve sur la\nFigure 2. Il est net.\n"
    assert texts(raw, "caption") == []


def test_lists_keep_their_marks_and_their_long_lines() -> None:
    raw = (
        COLUMN
        + "Les critères d'inclusion étaient les suivants :\n"
        + "• âge supérieur à 15 ans au moment de l'admission dans le service qui prend en\ncharge ;\n"
        + "– absence de traitement antérieur ;\n"
        + "1) accord écrit ;\n"
        + "a) suivi possible.\n"
    )
    assert texts(raw, "list") == [
        "• âge supérieur à 15 ans au moment de l'admission dans le service qui prend en charge ;",
        "– absence de traitement antérieur ;",
        "1) accord écrit ;",
        "a) suivi possible.",
    ]


def test_a_dash_inside_a_sentence_opens_no_list() -> None:
    raw = COLUMN + "Le malade est un homme âgé de quarante ans qui a consulté son médecin traitant\n– le jour même.\n"
    assert texts(raw, "list") == []


def test_a_footnote_at_the_bottom_of_a_page_does_not_cut_the_sentence() -> None:
    raw = (
        COLUMN
        + "Le dosage a été réalisé par la technique du laboratoire central de l'hôpital\n"
        + "1 Laboratoire agréé par le ministère.\n"
        + "\f"
        + "et relu par un biologiste.\n"
    )
    assert kinds(raw)[1:] == [
        (
            "body",
            "Le dosage a été réalisé par la technique du laboratoire central de l'hôpital et relu par un biologiste.",
        ),
        ("note", "1 Laboratoire agréé par le ministère."),
    ]


def test_references_without_numbers_begin_with_an_author() -> None:
    first = "Garnier H, Morel C. Le lupus et la\ngrossesse. Presse Med 1999.\n"
    raw = f"Bibliographie\n{first}Morel C. L'embolie. Paris, 2001.\n"
    assert texts(raw, "reference") == [
        "Garnier H, Morel C. Le lupus et la grossesse. Presse Med 1999.",
        "Morel C. L'embolie. Paris, 2001.",
    ]


def test_nothing_but_white_space_gives_nothing() -> None:
    assert reflow("") == Reflowed([], [])
    assert reflow(" \n\f\n\t") == Reflowed([], [])
    assert removed("\u00ad") == [("\u00ad", "invisible")]


@pytest.mark.parametrize("raw", sorted(GOLD.glob("*.raw.txt")), ids=lambda path: path.name)
def test_the_running_text_of_the_gold_articles_is_recovered_whole(raw: Path) -> None:
    gold = raw.with_name(raw.name.replace(".raw.txt", ".gold.jsonl")).read_text("utf-8").splitlines()
    wanted = [(line["kind"], line["section"], line["text"]) for line in map(json.loads, gold)]
    found = [(block.kind, block.section, block.text) for block in reflow(raw.read_text("utf-8")).blocks]
    running = ("body", "abstract")
    assert [line for line in found if line[0] in running] == [line for line in wanted if line[0] in running]


# Laws

FRAGMENTS = (
    """
\f132 J. Morel et al.|Tuberculose du sujet âgé 133|12|- 13 -|© Masson, Paris, 2003|Résumé|Summary|Mots clés|
Mots clés : fièvre|Introduction|2.1. Critères|RÉSULTATS|Discussion :|Références|[1] Morel C. Titre.|\f| |   \t|
2. Garnier H. Autre titre. 1999.|Remerciements : à tous.|Conclusion. – Oui|Figure 1. Radiographie|Tableau I|
1,2 3,4 5,6|Âge\t12\t14|HTA : hypertension ;|* p < 0,05|1 Note.|• fièvre ;|– toux|1) un|a) deux|Reçu le 3 mars|
C. Morel, P. Garnier|Service de médecine, 13015 Marseille|E-mail : a@b.fr|la fin est proche.|Une natré\u00ad|\u00ad|
les malades ont été vus dans le service de médecine pendant|Les malades étaient anti-|inflammatoire, puis physio-|
logique.|déﬁcit ﬂou|   Un retrait.|Il va bien.|(fin)|-|a|…|\u2028|1\r2|l'|mg/|
""".replace("|\n", "|")
    .strip("\n")
    .split("|")
)
SOUPS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=40).map("\n".join)

WORDS = st.sampled_from(
    [
        "la",
        "fièvre",
        "le",
        "malade",
        "de",
        "du",
        "avec",
        "une",
        "dose",
        "examen",
        "normal",
        "était",
        "après",
        "deux",
        "jours",
        "qui",
    ]
)
SENTENCES = st.lists(WORDS, min_size=6, max_size=20).map(lambda words: " ".join(words).capitalize() + ".")
PARAGRAPHS = st.lists(SENTENCES, min_size=1, max_size=6).map(" ".join)


def squeezed(text: str) -> str:
    return "".join(LIGATURES.get(c, c) for c in text if not c.isspace())


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(c in rest for c in part)


@given(SOUPS)
@settings(max_examples=300, deadline=None)
def test_no_character_is_lost_or_taken_twice(raw: str) -> None:
    found = reflow(raw)
    kept = Counter(squeezed("".join(block.text for block in found.blocks)))
    kept.update(squeezed("".join(raw[start:end] for start, end, _ in found.removed)))
    hyphens = dict.fromkeys("-\u2010\u2011\u00ad\u00ac", 0)
    assert kept | hyphens == Counter(squeezed(raw)) | hyphens


@given(SOUPS)
@settings(max_examples=300, deadline=None)
def test_spans_are_ordered_and_hold_what_they_say(raw: str) -> None:
    found = reflow(raw)
    spans = [(block.start, block.end) for block in found.blocks] + [(start, end) for start, end, _ in found.removed]
    assert [block.start for block in found.blocks] == sorted(block.start for block in found.blocks)
    covered = {at for start, end in spans for at in range(start, end)}
    assert all(at in covered for at, c in enumerate(raw) if not c.isspace())
    for block in found.blocks:
        assert is_subsequence(squeezed(block.text), squeezed(raw[block.start : block.end]))
    open_ends: list[int] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1], "two spans cross"
        open_ends.append(end)


@given(st.lists(PARAGRAPHS, min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_text_without_hard_breaks_passes_unchanged(paragraphs: list[str]) -> None:
    found = reflow("\n\n".join(paragraphs))
    assert [(block.kind, block.text) for block in found.blocks] == [("body", paragraph) for paragraph in paragraphs]


@given(st.lists(PARAGRAPHS, min_size=1, max_size=8), st.integers(50, 90), st.sampled_from(["\n", "\n\n", "\n   "]))
@settings(max_examples=200, deadline=None)
def test_what_comes_out_as_body_comes_out_so_again(paragraphs: list[str], width: int, between: str) -> None:
    once = texts(between.join(textwrap.fill(paragraph, width) for paragraph in paragraphs))
    assert texts("\n\n".join(once)) == once


@pytest.mark.parametrize("raw", sorted(GOLD.glob("*.raw.txt")), ids=lambda path: path.name)
def test_the_body_of_the_gold_articles_comes_out_so_again(raw: Path) -> None:
    once = texts(raw.read_text("utf-8"))
    assert texts("\n\n".join(once)) == once
