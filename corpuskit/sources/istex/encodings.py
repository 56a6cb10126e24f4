"""Which encoding are these bytes in? Plain text files do not say, and French ones come in several.

UTF-8 is certain: other text is hardly ever valid UTF-8 by chance. Windows-1252 (which holds
ISO 8859-1) is taken where nearly all its characters beyond ASCII are ones that French text uses.
Anything else is refused, with the encoding that it looks like.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from corpuskit.files import Refused

#: Characters beyond ASCII that a French scientific text may hold, its symbols and foreign names included.
_FRENCH = frozenset("àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊËÎÏÔÙÛŒÆáíóúñãåøßÖÜÅ«»‹›’‘“”–—…•·°º²³¹½¼¾±×÷µ§€£®©™†‰¡¿´\u00a0\u00ad")
_FREQUENT = "éèàêç"
#: At least this share of them makes a decoding plausible.
_PLAUSIBLE = 0.9
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class _Other(NamedTuple):
    codec: str
    #: Its name for iconv.
    name: str


_OTHERS = (
    _Other("utf-16-le", "UTF-16LE"),
    _Other("utf-16-be", "UTF-16BE"),
    _Other("mac-roman", "MACINTOSH"),
    _Other("cp850", "CP850"),
)


def decode(data: bytes) -> str:
    """The characters of a plain text file, without its byte order mark.

    Args:
        data: the whole file.

    Raises:
        Refused: it holds no text, or is neither UTF-8 nor plausible as Windows-1252.
    """
    text = _marked(data)
    if text is None:
        text = _strict(data, "utf-8")
    if text is None and _plausibility(cp1252 := _strict(data, "cp1252")) >= _PLAUSIBLE:
        text = cp1252
    if text is None or "\0" in text:
        raise Refused("neither UTF-8 nor Windows-1252", _advice(data))
    if not text.strip():
        raise Refused("the file holds no text", "download the document again, or take it out")
    return text


def _marked(data: bytes) -> str | None:
    return next((_strict(data, codec) for mark, codec in _MARKS if data.startswith(mark)), None)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _plausibility(text: str | None) -> float:
    """The share of the characters beyond ASCII that French uses; text without them is plausible, null bytes are not."""
    if text is None or "\0" in text:
        return 0.0
    beyond = [c for c in text if c > "\x7f"]
    return sum(c in _FRENCH for c in beyond) / len(beyond) if beyond else 1.0


def _advice(data: bytes) -> str:
    broken = data.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    if broken and broken * 10 <= sum(byte > 0x7F for byte in data):
        return f"it is UTF-8 but for {broken} byte{'s' * (broken > 1)}; take them out with: iconv -c -f UTF-8 -t UTF-8"
    likely = max(_OTHERS, key=lambda other: sum(map((_strict(data, other.codec) or "").count, _FREQUENT)))
    if _plausibility(_strict(data, likely.codec)) >= _PLAUSIBLE:
        return f"it looks like {likely.name}; convert it with: iconv -f {likely.name} -t UTF-8"
    return "find out its encoding and convert it with: iconv -f ENCODING -t UTF-8"
