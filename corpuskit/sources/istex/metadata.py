"""What ``<ID>.json`` says of an ISTEX document. Fields: https://doc.istex.fr/."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from corpuskit import identifiers
from corpuskit.files import Refused
from corpuskit.records import Article
from corpuskit.sources.istex import categories
from corpuskit.sources.istex.encodings import decode
from corpuskit.sources.istex.names import family_first

_SCHEMES = ("wos", "scienceMetrix", "scopus", "inist")
#: Every document has one of these fields at least.
_OURS = {"arkIstex", "corpusName", "title", "host"}


class Description(NamedTuple):
    """An article without its paragraphs, and what it is selected by."""

    article: Article
    abstract: str
    #: All declared languages, ISO 639-1.
    languages: list[str]
    #: The names of all levels of its categories.
    levels: list[str]


def describe(data: bytes, source: str, file: str, own_name: str) -> Description:
    """Read the description of a document.

    Args:
        data: the JSON.
        source: what the article's source and the prefix of its id are.
        file: the member's name.
        own_name: the id, where the JSON has none: the member's name without folder and ending.

    Raises:
        Refused: it is JSON, but no object, or not in a known encoding.
        ValueError, RecursionError: it is no JSON.
    """
    metadata = json.loads(decode(data))
    if not isinstance(metadata, dict) or not metadata.keys() & _OURS:
        raise Refused("this JSON is no description of an ISTEX document", "take it out of the folder")
    own_id = _first(metadata, "id") or own_name
    ark = identifiers.ark(_first(metadata, "arkIstex") or _first(metadata, "ark"))
    languages = [code for value in _strings(metadata.get("language")) if (code := identifiers.language(value))]
    schemes = next(iter(_objects(metadata.get("categories"))), {})
    levels = categories.levels(text for scheme in _SCHEMES for text in _strings(schemes.get(scheme)))
    article = Article(
        id=f"{source}:{own_id}",
        source=source,
        file=file,
        doi=identifiers.doi(_first(metadata, "doi")),
        pmid=identifiers.pmid(_first(metadata, "pmid")),
        ark=ark,
        title=_first(metadata, "title"),
        authors=[family_first(name) for name in _each(metadata, "author", "name")],
        year=identifiers.year(_first(metadata, "publicationDate"))
        or identifiers.year(_first(metadata, "copyrightDate")),
        journal=next(iter(_each(metadata, "host", "title")), ""),
        language="fr" if "fr" in languages else next(iter(languages), ""),
        subjects=list(dict.fromkeys([f"istex:{level}" for level in levels] + _each(metadata, "subject", "value"))),
        document_type=_first(metadata, "genre"),
        url=f"https://api.istex.fr/{ark}" if ark else f"https://api.istex.fr/document/{own_id}",
    )
    return Description(article, _first(metadata, "abstract"), languages, levels)


def _strings(value: Any) -> list[str]:
    """The strings in a value that may be one, a list of them, or nothing of the kind."""
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    if isinstance(value, str | int):
        # JSON can escape a lone surrogate, which no file can hold.
        text = " ".join(str(value).encode("utf-8", "replace").decode().split())
        return [text] if text else []
    return []


def _first(metadata: dict[str, Any], key: str) -> str:
    return next(iter(_strings(metadata.get(key))), "")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _each(metadata: dict[str, Any], key: str, name: str) -> list[str]:
    """What the objects under a key have under a name."""
    return [text for each in _objects(metadata.get(key)) if (text := _first(each, name))]
