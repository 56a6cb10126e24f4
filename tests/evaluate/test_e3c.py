"""Reading E3C, on small files made after its formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpuskit.evaluate.readers import e3c
from corpuskit.evaluate.records import Document, Entity, TaskError

TEXT = "Toux 😀 et fièvre.\nLésion qui est cutanée.\n"
NOTES = """\
    <custom:EVENT xmi:id="20" sofa="12" begin="0" end="4" polarity="POS"/>
    <custom:CLINENTITY xmi:id="31" sofa="12" begin="11" end="17" entityID="C0015967"/>
    <custom:CLINENTITY xmi:id="30" sofa="12" begin="0" end="4" entityID="C0010200"/>
    <custom:CLINENTITY xmi:id="32" sofa="12" begin="19" end="41" discontinuous="DISCONTINUOUS" entityID="CUILESS"/>
    <custom:BODYPART xmi:id="33" sofa="12" begin="34" end="41" eventiveValue="N/A"/>
    <custom:METADATA xmi:id="40" sofa="12" begin="0" end="0" docDOI="10.1/toux" docName="FR1"/>
"""


def write(folder: Path, notes: str = NOTES, text: str = TEXT, name: str = "FR1") -> Path:
    """A file as WebAnno writes it."""
    escaped = text.replace("&", "&amp;").replace('"', "&quot;").replace("\n", "&#10;")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><xmi:XMI xmlns:xmi="http://www.omg.org/XMI" '
        'xmlns:cas="http:///uima/cas.ecore" xmlns:custom="http:///webanno/custom.ecore" '
        'xmlns:type4="http:///de/tudarmstadt/ukp/dkpro/core/api/segmentation/type.ecore" xmi:version="2.0">\n'
        '    <cas:NULL xmi:id="0"/>\n'
        '    <type4:Token xmi:id="19" sofa="12" begin="0" end="4" order="0"/>\n'
        f'{notes}    <cas:Sofa xmi:id="12" sofaNum="1" sofaID="_InitialView" mimeType="text" sofaString="{escaped}"/>\n'
        '    <cas:View sofa="12" members="1 19"/>\n</xmi:XMI>\n',
        encoding="utf-8",
    )
    return folder


def entity(id: str, start: int, end: int, label: str = "CLINENTITY") -> Entity:
    return Entity(((start, end),), label, id)


def test_offsets_are_made_characters(tmp_path: Path) -> None:
    split = e3c.read(write(tmp_path))
    entities = (entity("30", 0, 4), entity("31", 10, 16), entity("32", 18, 40))
    assert split.documents == (Document("FR1", TEXT, entities, "10.1/toux"),)
    assert [TEXT[one.start : one.end] for one in entities] == ["Toux", "fièvre", "Lésion qui est cutanée"]
    assert split.counted == {"EVENT": 1, "BODYPART": 1, "discontinuous, as one span": 1}


def test_layers_and_folders_are_chosen(tmp_path: Path) -> None:
    write(tmp_path / "data_annotation/French/layer1")
    write(tmp_path / "data_annotation/French/layer2", name="FR2")
    split = e3c.read(tmp_path / "data_annotation", "French/layer1", layers=["BODYPART"])
    assert split.documents == (Document("FR1", TEXT, (entity("33", 33, 40, "BODYPART"),), "10.1/toux"),)
    assert split.counted == {"EVENT": 1, "CLINENTITY": 3}


def test_the_text_may_be_compared_with_the_collection(tmp_path: Path) -> None:
    write(tmp_path / "annotation")
    collection = tmp_path / "collection"
    with pytest.raises(TaskError, match=r"no data at .*collection"):
        e3c.read(tmp_path / "annotation", texts=collection)
    collection.mkdir()
    record = {"id": "FR1", "doi": "10.1/toux", "text": TEXT.replace("\n", " ").strip()}
    (collection / "FR1.json").write_text(json.dumps(record))
    assert len(e3c.read(tmp_path / "annotation", texts=collection).documents) == 1
    (collection / "FR1.json").write_text(json.dumps(record | {"text": "Toux et fièvre."}))
    with pytest.raises(TaskError, match=r"FR1\.xml: its text is not that of .*FR1\.json"):
        e3c.read(tmp_path / "annotation", texts=collection)
    (collection / "FR1.json").write_text("[]")
    with pytest.raises(TaskError, match=r"FR1\.json: no record of the collection"):
        e3c.read(tmp_path / "annotation", texts=collection)
    (collection / "FR1.json").rename(collection / "FR2.json")
    (collection / "FR2.json").write_text(json.dumps(record))
    with pytest.raises(TaskError, match=r"FR1\.xml: there is no FR1\.json at"):
        e3c.read(tmp_path / "annotation", texts=collection)


@pytest.mark.parametrize("places", [("0", "99"), ("-1", "4"), ("4", "4"), ("5", "6"), ("x", "4"), ("17", "11")])
def test_wrong_offsets_are_told_with_their_line(tmp_path: Path, places: tuple[str, str]) -> None:
    begin, end = places  # 6 is in the middle of a character of two units
    write(tmp_path, NOTES.replace('begin="11" end="17"', f'begin="{begin}" end="{end}"'))
    with pytest.raises(TaskError, match=rf"FR1\.xml: line 5: CLINENTITY 31 is at {begin} to {end}, which is no piece"):
        e3c.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<xmi:XMI>", "line 1: no XML"),
        ('<xmi:XMI xmlns:xmi="http://www.omg.org/XMI"/>', r"0 texts \(cas:Sofa\) where one should be"),
    ],
)
def test_what_is_no_xmi_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "FR1.xml").write_text(content)
    with pytest.raises(TaskError, match=rf"FR1\.xml: {told}"):
        e3c.read(tmp_path)


def test_columns_have_one_label(tmp_path: Path) -> None:
    french = tmp_path / "clinical_entities/French"
    french.mkdir(parents=True)
    (french / "test.txt").write_text("Des O\nlombalgies B-ety\nmécaniques I-ety\n. O\n\nSans O\nfièvre B-ety\n")
    split = e3c.read_columns(tmp_path, "French")
    assert split.documents == (
        Document("test#1", "Des lombalgies mécaniques .", (entity("", 4, 25),)),
        Document("test#6", "Sans fièvre", (entity("", 5, 11),)),
    )
    (french / "test.txt").write_text("masse O B-C0577559\ntumorale O B-C0027651\nici B-ety O\n")
    labels = {tag: e3c.read_columns(tmp_path, tag=tag).documents[0].entities for tag in (2, 3)}
    assert labels == {2: (entity("", 15, 18),), 3: (entity("", 0, 5), entity("", 6, 14))}
