"""Loops over many values, byte by byte, in the part of Python that numba compiles. As they stand here they run, too, only
slowly: so tests hold them against what they replace. Whatever they tell apart, they tell as their twins do.

Every array is one-dimensional; `lanes` are the unaligned words of a buffer (`hashing.words`), which reaches at least
`hashing.PAD` bytes behind the last value. What is not of one length is given as starts and lengths. Numbers without a
sign stay in their width: a product of 64 bits is meant to wrap.
"""

# ruff: noqa: PLR0913, PLR0912, C901, PLR0915, PLR2004

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.fields.scan.hashing import Bytes, Hashes, Longs

Words: TypeAlias = NDArray[np.uint32]
