"""ISTEX: the archives of istex-dl, and the same unpacked.

A document is spread over members of one name: ``<ID>/<ID>.json`` describes it, ``.tei``, ``.cleaned``
and ``.txt`` are its text, each optional. Four in ten have no text: title and abstract are an article
still. Format: https://doc.istex.fr/.
"""

from corpuskit.sources.istex.reader import IstexOptions, IstexReader

__all__ = ["IstexOptions", "IstexReader"]
