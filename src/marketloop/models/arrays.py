"""Named arrays as the bytes of a skops file, and back: never a pickle."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

__all__ = ["TRUSTED", "pack", "unpack"]

TRUSTED: tuple[str, ...] = ()
"""Types that a file may hold beyond the plain ones skops trusts by itself: none, a file holds arrays by name."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a skops file of named arrays; the same arrays make the same bytes.

    skops writes addresses of memory and the time of day: both are replaced here.
    """
    found: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(dict(arrays)))) as written:
        content = {name: written.read(name) for name in written.namelist()}
    schema = content.pop("schema.json").decode()
    numbered = re.sub(r'("__id__": |"file": ")(\d+)', lambda m: m[1] + found.setdefault(m[2], str(len(found))), schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(content, key=lambda name: int(found[name.removesuffix(".npy")])):
            file.writestr(_plain(f"{found[name.removesuffix('.npy')]}.npy"), content[name])
        file.writestr(_plain("schema.json"), json.dumps(json.loads(numbered)))
    return out.getvalue()


def unpack(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the named arrays of a skops file that holds nothing else; anything else raises `ValueError`."""
    arrays = skops.io.loads(content, trusted=list(TRUSTED))
    if not isinstance(arrays, dict) or not all(isinstance(values, np.ndarray) for values in arrays.values()):
        raise ValueError("the file does not hold named arrays")
    return arrays


def _plain(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
