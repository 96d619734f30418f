"""YAML as located text: what is refused, where, and within which limits."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import DeploymentError, ProfileError
from keycheck.files.located import Limits, Map, parse, plain, read_bytes, texts


def read(text: str | bytes, **limits: int) -> Map:
    data = text.encode("utf-8") if isinstance(text, str) else text
    return parse(data, "f.yaml", ProfileError, Limits(**limits))


def test_scalars_stay_text():
    tree = read("a: NO\nb: 1.10\nc: 2026-07-01\nd: ~\ne: [yes, 0x10]\n")
    assert plain(tree) == {"a": "NO", "b": "1.10", "c": "2026-07-01", "d": "~", "e": ["yes", "0x10"]}


def test_keys_and_values_know_their_place():
    tree = read("a:\n  - bb: {c: d}\n")
    assert [(t.text, str(t.place)) for t in texts(tree)] == [
        ("a", "f.yaml:1:1"),
        ("bb", "f.yaml:2:5"),
        ("c", "f.yaml:2:10"),
        ("d", "f.yaml:2:13"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\na: 2\n", "2:1", "stands twice"),
        ("x: {a: 1, a: 2}\n", "1:11", "stands twice"),
        ("a: !!int 3\n", "1:4", "tag"),
        ("a: !python/object:os.system x\n", "1:4", "tag"),
        ("a: &x 3\n", "1:4", "anchor"),
        ("a: *x\n", "1:4", "alias"),
        ("<<: {a: 1}\n", "1:1", "merge key"),
        ("? [a]\n: 1\n", "1:3", "plain text"),
        ('"": 1\n', "1:1", "empty"),
        ("a: 1\n---\nb: 2\n", "2:1", "second document"),
        ("%YAML 1.1\n---\na: 1\n", "1:1", "directive"),
        ("a: [1\n", "2:1", "not valid YAML"),
        ("a:\n\t- 1\n", "2:1", "not valid YAML"),
        ('a: "\\e[31m"\n', "1:4", "control"),
        ('a: "\\u202E"\n', "1:4", "control"),
        ("- 1\n", "1:1", "mapping"),
        ("", "1:1", "mapping"),
        (b"a: 1\nb: \xff\n", "2:4", "UTF-8"),
        (b"a: \x00\n", "1:1", "character"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text, place, words):
    with pytest.raises(ProfileError) as caught:
        read(text)
    assert f"f.yaml:{place}: " in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.advice


def test_limits_hold():
    for text, limits in [
        ("a: " + "[" * 40 + "]" * 40, {}),
        ("a: [" + "1," * 50 + "1]", {"nodes": 20}),
        ("a: " + "x" * 100, {"size": 50}),
        ("[" * 500_000, {}),
    ]:
        with pytest.raises(ProfileError):
            read(text, **limits)


def test_only_regular_files_are_read_and_a_pipe_does_not_hang(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "nothing"):
        with pytest.raises(DeploymentError):
            read_bytes(path, str(path), DeploymentError, Limits())
    big = tmp_path / "big"
    big.write_bytes(b"x" * 101)
    with pytest.raises(DeploymentError, match="larger than 100"):
        read_bytes(big, "big", DeploymentError, Limits(size=100))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_tree_or_one_error(data):
    with suppress(ProfileError):
        read(data)


NAMES = st.text("abcxyz-._", min_size=1, max_size=6).filter(lambda text: text != "<<")
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=4))
def test_what_yaml_writes_as_text_is_read_back(tree):
    assert plain(read(yaml.safe_dump(tree, default_style='"', allow_unicode=True))) == tree
