"""Croissant metadata: what the files are and what their columns hold, for programs (JSON-LD).

Croissant Format Specification 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpuskit.publish import card

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(told: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """The metadata of a publication.

    Args:
        told: its manifest, without its outputs.
        data: the folder of its configurations.
    """
    publication = told["publication"]
    found = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": card.seen(publication["name"]),
        "description": "French biomedical articles and paragraphs, with the licence of each; see README.md.",
        "license": sorted(
            {row["licence"] for row in told["configurations"]["paragraphs"]["counts"] if row["withheld"] is None}
        )
        or ["other"],
        "inLanguage": card.languages(told) or ["fr"],
        "version": f"1.0.0+{told['fingerprint'][:12]}",
        "datePublished": told["started"][:10],
        "citeAs": card.bibtex(told),
        "keywords": ["biomedical", "French", "corpus"],
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "repo",
                "name": "repo",
                "description": "The folder of the data set.",
                "contentUrl": publication["url"] or ".",
                "encodingFormat": "git+https" if publication["url"] else "inode/directory",
                "sha256": "https://github.com/mlcommons/croissant/issues/80",
            }
        ],
        "recordSet": [],
    }
    if publication["url"]:
        found["url"] = publication["url"]
    if publication["authors"]:
        found["creator"] = [{"@type": "sc:Person", "name": card.seen(name)} for name in publication["authors"]]
    for name, configuration in told["configurations"].items():
        files = sorted((data / name).glob("*.parquet"))
        if not files:
            continue
        found["distribution"].append(
            {
                "@type": "cr:FileSet",
                "@id": f"files-{name}",
                "name": f"files-{name}",
                "description": f"The Parquet files of {name}: {', '.join(configuration['splits'])}.",
                "containedIn": {"@id": "repo"},
                "encodingFormat": "application/x-parquet",
                "includes": f"data/{name}/*.parquet",
            }
        )
        fields = [_field(name, field) for field in pq.read_schema(files[0])]
        record = {
            "@type": "cr:RecordSet",
            "@id": name,
            "name": name,
            "description": f"One of the {configuration['unit']} a record.",
        }
        if name in ("articles", "paragraphs"):
            record["key"] = {"@id": f"{name}/id"}
        found["recordSet"].append(record | {"field": fields})
    return found


def _field(configuration: str, field: pa.Field) -> dict[str, Any]:
    type, repeated = field.type, False
    if pa.types.is_list(type):
        type, repeated = type.value_type, True
    described = (field.metadata or {}).get(b"description", b"").decode()
    told = {
        "@type": "cr:Field",
        "@id": f"{configuration}/{field.name}",
        "name": field.name,
        "description": described or field.name,
        "dataType": _type(type),
        "source": {"fileSet": {"@id": f"files-{configuration}"}, "extract": {"column": field.name}},
    }
    return told | ({"repeated": True} if repeated else {})


def _type(type: pa.DataType) -> str:
    if pa.types.is_boolean(type):
        return "sc:Boolean"
    if pa.types.is_integer(type):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(type) else "sc:Text"
