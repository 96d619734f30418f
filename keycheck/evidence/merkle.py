"""The Merkle tree of RFC 9162 section 2.1 over leaves that carry their type.

A leaf entry is ``tag || 0x00 || content``, the tag in ASCII: a leaf of one kind can never be shown as one of
another, and two trees with other tags never share a leaf. Hashing is SHA-256 as in section 2.1.1: a leaf is
``H(0x00 || entry)``, a node ``H(0x01 || left || right)``, the empty tree ``H()``.

Proves that a leaf is (or all leaves are) what a root was made of. Proves nothing about who made the root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Protocol

from keycheck.errors import IntegrityError


class Hasher(Protocol):
    """The two methods of a hashlib object that streaming leaves need."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def leaf_prefix(tag: str) -> bytes:
    """What is hashed before a leaf's content. Raises ValueError for a tag that could be cut in two places."""
    if not tag or not tag.isascii() or not tag.isprintable():
        raise ValueError("a leaf tag is printable ASCII and not empty")
    return b"\x00" + tag.encode("ascii") + b"\x00"


def leaf_function(tag: str) -> Callable[[bytes], bytes]:
    """The function from content to leaf hash, for many leaves of one kind."""
    prefix = leaf_prefix(tag)
    return lambda content: sha256(prefix + content).digest()


def leaf_hash(tag: str, content: bytes) -> bytes:
    """The hash of the leaf ``tag || 0x00 || content``."""
    hasher = sha256(leaf_prefix(tag))
    hasher.update(content)  # joining the two would copy megabytes
    return hasher.digest()


def leaf_hasher(tag: str) -> Hasher:
    """A hash object that becomes the leaf's hash once all its content was fed to ``update``."""
    return sha256(leaf_prefix(tag))


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The root of a tree whose leaf hashes arrive one by one, in memory logarithmic in their number."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []  # roots of the full subtrees, largest first: the one bits of the size
        self._size = 0

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        carry = self._size
        while carry & 1:
            leaf = sha256(b"\x01" + self._peaks.pop() + leaf).digest()
            carry >>= 1
        self._peaks.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        """The root over everything appended so far."""
        if not self._peaks:
            return sha256().digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The path from leaf ``index`` to the root, nearest first (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    level = list(leaves)
    path: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
        level = list(_next_level(level))
    return tuple(path)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return if ``path`` leads from ``leaf`` at ``index`` to the ``root`` of a tree of ``size`` leaves.

    RFC 9162 section 2.1.3.2. Raises :class:`~keycheck.errors.IntegrityError` otherwise.
    """
    if not 0 <= index < size:
        raise _wrong_path(f"there is no leaf {index} in a tree of {size}")
    node, last, computed = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise _wrong_path("the path is too long")
        if node & 1 or node == last:
            computed = node_hash(step, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, step)
        node >>= 1
        last >>= 1
    if last:
        raise _wrong_path("the path is too short")
    if computed != root:
        raise _wrong_path("it leads to another root")


def _next_level(level: Sequence[bytes]) -> Iterator[bytes]:
    for left in range(0, len(level) - 1, 2):
        yield node_hash(level[left], level[left + 1])
    if len(level) & 1:
        yield level[-1]


def _wrong_path(why: str) -> IntegrityError:
    return IntegrityError(
        f"the inclusion proof does not hold: {why}",
        advice="Ask for the leaf and its proof again, and check that they belong to this tree size and root.",
    )
