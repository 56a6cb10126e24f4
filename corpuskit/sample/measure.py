"""How long a text is, in tokens of a tokenizer."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.sample.recipe import RecipeError


@lru_cache(maxsize=2)
def _tokenizer(name: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise RecipeError(
            "budget.tokens: counting tokens needs transformers: pip install 'corpuskit-fr[train]', or give words"
        ) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # whatever a folder or a server may hold
        first = str(error).partition("\n")[0]
        raise RecipeError(
            f"budget.tokenizer: {name} cannot be read: {first} Give a name of the Hugging Face hub, or a folder with "
            "tokenizer.json"
        ) from None
    if tokenizer.is_fast:  # what its file says of lengths is meant for a model, not for counting
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def tokens(texts: pa.Array, name: str) -> npt.NDArray[np.int64]:
    """The tokens of each text, without those that mark its beginning and end; of null none.

    Raises:
        RecipeError: there is no such tokenizer.
    """
    tokenizer = _tokenizer(name)
    written = [text or "" for text in texts.to_pylist()]
    if not written:
        return np.zeros(0, np.int64)
    if tokenizer.is_fast:
        found = tokenizer.backend_tokenizer.encode_batch_fast(written, add_special_tokens=False)
        return np.fromiter((len(one) for one in found), np.int64, len(found))
    encoded = tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
    return np.fromiter(map(len, encoded), np.int64, len(written))


def fingerprint(name: str) -> str:
    """The SHA-256 of what decides how a tokenizer cuts.

    Raises:
        RecipeError: there is no such tokenizer.
    """
    tokenizer = _tokenizer(name)
    content = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(content.encode()).hexdigest()
