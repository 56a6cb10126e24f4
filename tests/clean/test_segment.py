"""Paragraphs of plain text, and the cutting of long ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.clean.segment import blocks, cuts, sentence_ends, split_long
from corpuskit.records import Article, Paragraph


def _texts(text: str) -> list[str]:
    return [text[start:end] for start, end in blocks(text)]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("", []),
        (" \n\n\t\n ", []),
        ("Un seul.", ["Un seul."]),
        ("  Une ligne,\nla suivante. \n \t \n\n\nUn autre.\n", ["Une ligne,\nla suivante.", "Un autre."]),
        ("Un.\r\nDeux.\r\n\r\nTrois.\r\rQuatre.", ["Un.\r\nDeux.", "Trois.", "Quatre."]),
        ("Un.\n\u00a0\nDeux.", ["Un.", "Deux."]),
    ],
)
def test_blank_lines_part_paragraphs(text: str, paragraphs: list[str]) -> None:
    assert _texts(text) == paragraphs


@given(st.text(st.sampled_from("ab \n\r\t\u00a0"), max_size=40))
def test_blocks_hold_all_words_in_order(text: str) -> None:
    assert " ".join(_texts(text)).split() == text.split()
    assert all(block == block.strip() != "" for block in _texts(text))


@given(st.lists(st.text(st.sampled_from("ab é"), min_size=1).filter(str.strip), max_size=5))
def test_blocks_are_the_paragraphs_that_were_joined(paragraphs: list[str]) -> None:
    assert _texts("\n \n".join(paragraphs)) == [paragraph.strip() for paragraph in paragraphs]


def _cut(text: str, limit: int) -> list[str]:
    return [text[start:end] for start, end in cuts(text, limit)]


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("Une phrase. Une autre.", 22, ["Une phrase. Une autre."]),
        ("Une phrase. Une autre.", 21, ["Une phrase.", "Une autre."]),
        ("Est-ce grave ? Non. Un suivi suffit !", 20, ["Est-ce grave ? Non.", "Un suivi suffit !"]),
        # Balanced: not the longest piece first.
        ("A1 dort. B2 dort. C3 dort. D4 dort.", 30, ["A1 dort. B2 dort.", "C3 dort. D4 dort."]),
        # A quotation is closed before the sentence ends.
        ("Il dit : « J’ai mal. » Elle attend.", 30, ["Il dit : « J’ai mal. »", "Elle attend."]),
        ("Il a dormi (mal…) « Oui », dit-il.", 30, ["Il a dormi (mal…)", "« Oui », dit-il."]),
        ("On observe une toux. 3 patients toussent.", 30, ["On observe une toux.", "3 patients toussent."]),
        # A sentence end is worth a piece less balanced, but not one very short.
        (
            "Il a une toux grasse. Le Dr. Roy a vu les poumons.",
            40,
            ["Il a une toux grasse.", "Le Dr. Roy a vu les poumons."],
        ),
        ("Oui. elle tousse et crache depuis un mois", 30, ["Oui. elle tousse et", "crache depuis un mois"]),
        ("sans aucune fin de phrase du tout ici", 20, ["sans aucune fin de", "phrase du tout ici"]),
        ("x" * 25, 10, ["x" * 9, "x" * 8, "x" * 8]),
    ],
)
def test_cuts(text: str, limit: int, pieces: list[str]) -> None:
    assert _cut(text, limit) == pieces


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "Il tousse. Elle non ! Et lui ? Eux… 12 autres.",
            ["Il tousse.", "Elle non !", "Et lui ?", "Eux…", "12 autres."],
        ),
        ("Il dort. « Bien. » Elle (non plus.) À voir.", ["Il dort.", "« Bien. »", "Elle (non plus.)", "À voir."]),
        ("C’est tout. – Œdème discret. - Rien d’autre.", ["C’est tout.", "– Œdème discret.", "- Rien d’autre."]),
        ("En 2003. Depuis 1.5 an. À 15. Fin", ["En 2003.", "Depuis 1.5 an.", "À 15. Fin"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    ends = [*sentence_ends(text), len(text)]
    assert [text[a:b].strip() for a, b in zip([0, *ends], ends, strict=False)] == sentences


@pytest.mark.parametrize(
    "text",
    [
        "selon le Dr. Martin",
        "selon M. Martin",
        "(cf. Tableau 2",
        "voir p. ex. Garnier",
        "Morel et al. Lancet",
        "comme à la Fig. 3",
        "d’après l’éd. Masson",
        "fièvre, toux, etc. Paris",
        "signé J. Dupont",
        "avant J.-C. Hippocrate",
        "2. Méthodes",
        "dose de 3.5 Unités",
        "dose de 3,5. puis rien",
        "un point.Puis rien",
        "« Oui. » dit-il",
    ],
)
def test_no_sentence_ends_inside(text: str) -> None:
    assert list(sentence_ends(text)) == []


_SENTENCES = st.lists(
    st.sampled_from(["Le Dr. Roy vient.", "Oui !", "Une toux", "est-ce sûr ?", "« Non. »", "3.5 mg", "a", "fin…"]),
    min_size=1,
    max_size=60,
).map(" ".join)


@given(_SENTENCES, st.integers(9, 80))
def test_pieces_make_up_the_text_again_and_are_short_enough(text: str, limit: int) -> None:
    pieces = _cut(text, limit)
    assert " ".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(st.text(st.sampled_from("abé. A\n"), max_size=80).map(str.strip), st.integers(1, 12))
def test_no_character_but_white_space_is_lost_whatever_the_text(text: str, limit: int) -> None:
    pieces = _cut(text, limit)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(_SENTENCES, st.integers(40, 80))
def test_pieces_are_of_about_one_size(text: str, limit: int) -> None:
    sizes = [len(piece) for piece in _cut(text, limit)]
    assert min(sizes) >= min(len(text), limit // 5)


@pytest.mark.parametrize("unit", ["Une phrase courte. ", "...... ", "x", "»", ". A", "a b "])
def test_a_megabyte_is_cut_at_once(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit))).strip()
    pieces = _cut(text, 6_000)
    assert max(map(len, pieces)) <= 6_000
    assert len(pieces) <= 250


def test_pieces_of_an_article_say_where_they_are() -> None:
    text = "Première phrase. Deuxième phrase."
    paragraphs = [
        Paragraph("Court.", path="/a/p[1]"),
        Paragraph(text, path="/a/p[2]", kind="abstract", section="Résumé", declared_language="fr"),
        Paragraph(text, path="char=100,133"),
        Paragraph(text, path="char=100,140"),
        Paragraph(text, path="text;char=7,40"),
        Paragraph(text, path="/a/p[3]"),
    ]
    paragraphs[-1].mark("select", "kind")
    article = Article("a:1", "a", "f", paragraphs=list(paragraphs))
    split_long(article, 20)
    assert [(p.text, p.path) for p in article.paragraphs] == [
        ("Court.", "/a/p[1]"),
        ("Première phrase.", "/a/p[2];char=0,16"),
        ("Deuxième phrase.", "/a/p[2];char=17,33"),
        ("Première phrase.", "char=100,116"),
        ("Deuxième phrase.", "char=117,133"),
        ("Première phrase.", "char=100,140;char=0,16"),
        ("Deuxième phrase.", "char=100,140;char=17,33"),
        ("Première phrase.", "text;char=7,23"),
        ("Deuxième phrase.", "text;char=24,40"),
        (text, "/a/p[3]"),
    ]
    assert {(p.kind, p.section, p.declared_language) for p in article.paragraphs[1:3]} == {("abstract", "Résumé", "fr")}
