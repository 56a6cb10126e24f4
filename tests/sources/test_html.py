"""Web pages: main text only, the same whatever was read before, in any encoding."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from corpuskit import files
from corpuskit.records import Article, Quarantined
from corpuskit.sources import markup
from corpuskit.sources.html import HtmlReader, decode

SAMPLES = Path(files.__file__).parent / "samples" / "html"

LONG = (
    "La colchicine est utilisée dans la crise de goutte, à la dose d'un milligramme puis d'un demi-milligramme. "
    "Son surdosage provoque une diarrhée profuse, puis une défaillance de plusieurs organes."
)
PAGE = f"""<!DOCTYPE html>
<html lang="fr-FR"><head><meta charset="utf-8">
<title>Colchicine : surdosage | Centre antipoison</title>
<meta name="author" content="Jeanne Delmas; Paul Roy">
<meta property="og:site_name" content="Centre antipoison">
<meta property="article:published_time" content="2021-04-02">
<link rel="canonical" href="https://antipoison.example/colchicine">
</head><body>
<header><p>Un en-tête qui se répète sur toutes les pages du site, assez long pour être pris pour du texte.</p></header>
<nav><ul><li><a href="/">Accueil</a></li><li><a href="/contact">Nous contacter</a></li></ul></nav>
<main><article>
<h1>Colchicine : surdosage</h1>
<p>{LONG}</p>
<h2>Conduite à tenir</h2>
<p>Appelez le centre antipoison<br>avant l'apparition du <b>moindre</b> signe.</p>
<ul><li>Notez l'heure de la prise et la dose supposée.</li><li>Gardez l'emballage du médicament.</li></ul>
<blockquote><p>Aucun antidote n'est disponible en dehors des essais.</p></blockquote>
<table><tr><td>Dose toxique</td><td>0,5 mg/kg</td></tr></table>
</article></main>
<footer><p>Contenu sous <a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a></p></footer>
</body></html>"""


def read(path: Path) -> tuple[list[Article], list[Quarantined]]:
    found = [document.metadata for document in HtmlReader(str(path))()]
    return (
        [metadata["article"] for metadata in found if "article" in metadata],
        [metadata["quarantined"] for metadata in found if "quarantined" in metadata],
    )


def article(folder: Path, content: str | bytes, name: str = "page.html") -> Article:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    (found,), refused = read(folder / name)
    assert not refused
    return found


def test_a_page_becomes_paragraphs_with_their_section_and_place(tmp_path: Path) -> None:
    found = article(tmp_path, PAGE)
    advice = "Conduite à tenir"
    assert [(p.kind, p.section, p.path, p.text) for p in found.paragraphs] == [
        ("title", "", "/doc/@title", "Colchicine : surdosage"),
        ("body", "Colchicine : surdosage", "/doc/main[1]/p[1]", LONG),
        ("body", advice, "/doc/main[1]/p[2]", "Appelez le centre antipoison avant l'apparition du moindre signe."),
        ("list", advice, "/doc/main[1]/list[1]/item[1]", "Notez l'heure de la prise et la dose supposée."),
        ("list", advice, "/doc/main[1]/list[1]/item[2]", "Gardez l'emballage du médicament."),
        ("quote", advice, "/doc/main[1]/quote[1]/p[1]", "Aucun antidote n'est disponible en dehors des essais."),
    ]
    assert found.skipped == {"table": 1}


def test_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "fiches").mkdir()
    article(tmp_path / "fiches", PAGE, "colchicine.HTM")
    (found,), _ = read(tmp_path)
    assert found.id == "html:fiches/colchicine"
    assert (found.title, found.year, found.language) == ("Colchicine : surdosage", 2021, "fr")
    assert (found.authors, found.journal) == (["Jeanne Delmas", "Paul Roy"], "Centre antipoison")
    assert (found.url, found.licence) == ("https://antipoison.example/colchicine", "CC-BY-4.0")


def test_a_path_leads_to_its_paragraph_in_trafilaturas_own_xml(tmp_path: Path) -> None:
    found = article(tmp_path, PAGE)
    start = "from trafilatura.cli import main; main()"
    command = [sys.executable, "-c", start, "--xml", "--no-comments", "--no-tables"]
    output = subprocess.run(command, input=PAGE.encode(), capture_output=True, check=True).stdout
    document = etree.fromstring(output)
    for paragraph in found.paragraphs[1:]:
        for line_break in document.iter("lb"):
            line_break.tail = " " + (line_break.tail or "")
        assert markup.text(markup.resolve(document, paragraph.path)) == paragraph.text


def test_a_page_is_read_the_same_whatever_came_before(tmp_path: Path) -> None:
    pages = {"a": PAGE, "b": PAGE.replace("colchicine", "digoxine"), "c": PAGE}
    alone = {name: article(tmp_path, page).paragraphs for name, page in pages.items()}
    for order in itertools.permutations(pages):
        # Many times over: trafilatura's own deduplication allows two occurrences.
        for name in order * 3:
            assert article(tmp_path, pages[name]).paragraphs == alone[name]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<meta charset="iso-8859-1">été œdème'.encode("cp1252"), "été œdème"),
        ('<meta charset="iso-8859-1">été'.encode(), "été"),
        ('<meta charset="utf-8">été'.encode("cp1252"), "été"),
        ('<meta charset="nonsense">été'.encode("cp1252"), "été"),
        ('<meta charset="unicode_escape">été \\x41'.encode("cp1252"), "été \\x41"),
        ('<meta http-equiv="content-type" content="text/html; charset=macroman">été'.encode("mac-roman"), "été"),
        ('<?xml version="1.0" encoding="cp850"?>été'.encode("cp850"), "été"),
        ('<meta charset="utf-8">été'.encode("utf-16"), "été"),
        ("été".encode("utf-8-sig"), "été"),
        ("été".encode("cp1252"), "été"),
    ],
)
def test_the_encoding_is_found(content: bytes, expected: str) -> None:
    assert decode(content).endswith(expected)


def test_a_page_without_main_text_has_no_paragraphs(tmp_path: Path) -> None:
    start, end = PAGE.index("<main>"), PAGE.index("</main>")
    found = article(tmp_path, PAGE[:start] + '<main><div id="app"></div>' + PAGE[end:])
    assert [p.kind for p in found.paragraphs] == ["title"]
    assert article(tmp_path, "<html><body></body></html>").paragraphs == []


def test_what_is_no_page_or_too_large_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.Member.read, "__defaults__", (5000,))
    (tmp_path / "a.html").write_text("du texte sans balise")
    (tmp_path / "b.html").write_text(PAGE + " " * 5000)
    (tmp_path / "c.html").write_bytes(b"")
    (tmp_path / "d.xhtml").write_text(PAGE)
    found, refused = read(tmp_path)
    assert [a.id for a in found] == ["html:d"]
    assert [(q.file, q.error) for q in refused] == [
        ("a.html", "there is no HTML in the file"),
        ("b.html", "larger than 0 MiB"),
        ("c.html", "the file is empty"),
    ]


def test_entities_of_a_document_type_are_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("le contenu du fichier secret")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE html [<!ENTITY e0 "bombe"> {bomb} <!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    page = PAGE.replace("<!DOCTYPE html>", doctype).replace("La colchicine est", "&e9; &x; La colchicine est")
    text = " ".join(p.text for p in article(tmp_path, page, "page.xhtml").paragraphs)
    assert "La colchicine est utilisée" in text
    assert "secret" not in text
    assert "bombe" not in text


def test_deep_nesting_is_survived(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body>" + "<div>" * 100_000 + LONG)
    (tmp_path / "b.html").write_text(PAGE)
    found, refused = read(tmp_path)
    assert "html:b" in [a.id for a in found]
    assert len(found) + len(refused) == 2


def test_trafilatura_is_loaded_with_the_first_page_only() -> None:
    code = "import sys, corpuskit.sources.html; sys.exit('trafilatura' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_sample_holds_what_was_planted() -> None:
    found, refused = read(SAMPLES)
    pages = {a.id.removeprefix("html:"): a for a in found}
    assert (len(pages), refused) == (12, [])
    assert [p.kind for p in pages["espace-professionnels"].paragraphs] == ["title"]
    assert [name for name, a in pages.items() if a.language == "en"] == ["asthma-inhaler"]
    assert b"iso-8859-1" in (SAMPLES / "diabete-gestationnel.html").read_bytes()
    assert "élévation de la glycémie" in pages["diabete-gestationnel"].paragraphs[2].text
    first, second = (pages[name].paragraphs for name in ("antivitamine-k", "antivitamine-k-cardiologie"))
    assert [a.text == b.text for a, b in zip(first, second, strict=True)] == [0, 1, 1, 0, 1, 1, 0, 1]
    full = [a for a in found if len(a.paragraphs) > 1]
    assert all(a.paragraphs[-1].text.startswith("©") for a in full)
    assert len({a.paragraphs[1].text for a in full}) == 2
    assert not any("cookies" in p.text or "Plan d'accès" in p.text for a in found for p in a.paragraphs)
