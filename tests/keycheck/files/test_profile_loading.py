"""Profiles from YAML: places, parameters, controls, inheritance that may only tighten."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keycheck.errors import ProfileError
from keycheck.files.profile import LoadedProfile, load_profile
from keycheck.model.profile import Demand, Planned

BASE = """\
profile: base
version: 1
title: Base
parameters:
  colours: {value: [red, green]}
  wait: {value: PT15M, tighter: lower}
  place: {value: [EU, EFTA], tighter: subset}
  loose: {value: anything}
  name: {required: true}
clauses:
  - id: ONE
    text: Only these colours.
    tier: strongly-preferred
    tags: [gdpr:32]
    remedy: {cure_within: P30D, consequence: credit}
    requires:
      - control: demo.only@1
        for: things/a-*
        with: {only: $colours, within: $wait}
        evidence: {assurance: configured, max_age: P7D, samples: 3, coverage: [1, 2]}
      - planned: the light will be measured
  - id: TWO
    text: A bare promise.
    tier: must-have
    requires:
      - {control: demo.bare@1, for: things}
"""


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


@pytest.fixture
def load(tmp_path, catalogue):
    def _load(text: str, base: str = BASE) -> LoadedProfile:
        write(tmp_path, "base.yaml", base)
        return load_profile(write(tmp_path, "own.yaml", text), catalogue)

    return _load


def heir(body: str, head: str = "") -> str:
    return "profile: own\nversion: 3\ntitle: Own\nextends: ./base.yaml\n" + head + "clauses:\n" + textwrap.dedent(body)


def refused(load, text: str, base: str = BASE) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load(text, base)
    return caught.value


def test_a_profile_is_resolved_with_typed_parameters_and_sources(load, tmp_path):
    loaded = load(BASE)
    (one, two) = loaded.profile.clauses
    demand, planned = one.requires
    assert isinstance(demand, Demand)
    assert demand.with_.parsed() == {
        "only": ["green", "red"],
        "within": "PT15M",
        "at_least": 1,
        "frozen_mode": "plain",
        "mode": "allowed",
        "must": [],
    }
    assert planned == Planned(planned="the light will be measured")
    assert two.id == "TWO"
    data = (tmp_path / "own.yaml").read_bytes()
    assert loaded.profile.sources[0].sha256 == hashlib.sha256(data).hexdigest()
    assert loaded.texts == (("base.yaml", data),)
    assert loaded.place("ONE", "demo.only@1").line == 17
    assert loaded.place("ONE").line == 11


def test_no_is_a_colour_and_not_false(load):
    loaded = load(BASE.replace("value: [red, green]", "value: [NO]"))
    assert loaded.profile.clauses[0].requires[0].with_.parsed()["only"] == ["NO"]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("tier: must-have", "teir: must-have", "own.yaml:24:5", "unknown key `teir`"),
        ("tier: must-have", "tier: must-hav", "own.yaml:24:11", "did you mean `must-have`?"),
        ("for: things}", "for: thing}", "own.yaml:26:37", "judges things, not thing"),
        ("demo.bare@1", "demo.bear@1", "own.yaml:26:19", "did you mean `demo.bare@1`?"),
        ("demo.bare@1", "demo.bare@7", "own.yaml:26:19", "write demo.bare@1"),
        ("demo.bare@1", "demo.bare", "own.yaml:26:19", "area.rule@version"),
        ("only: $colours,", "only: $colour,", "own.yaml:19:22", "did you mean `colours`?"),
        ("only: $colours,", "only: $name,", "own.yaml:19:22", "has no value"),
        ("only: $colours,", "only: [red, pink],", "own.yaml:19:28", "pink"),
        ("only: $colours,", "onyl: $colours,", "own.yaml:19:16", "did you mean `only`?"),
        ("only: $colours,", "", "own.yaml:19:15", "`only` is missing"),
        ("value: [red, green]", "value: [red, pink]", "own.yaml:5:26", "pink"),
        ("value: PT15M", "value: P1M", "own.yaml:6:17", "no fixed length"),
        ("cure_within: P30D", "cure_within: P1Y", "own.yaml:15:27", "no fixed length"),
        ("coverage: [1, 2]", "coverage: [3, 2]", "own.yaml:20:79", "more than there is"),
        ("samples: 3", "samples: many", "own.yaml:20:66", "whole number"),
        ("- id: TWO", "- id: ONE", "own.yaml:22:9", "stands twice"),
        ("value: anything", "value: {a: b}", "own.yaml:8:18", "one value or a list"),
        ("value: anything", "value: $wait", "own.yaml:8:18", "refers to another parameter"),
        ("value: anything", "value: x, required: true", "own.yaml:8:10", "has a value and is `required`"),
        ("value: anything", "note: none", "own.yaml:8:10", "has no value"),
        ("with: {only: $colours, within: $wait}", "with: [red]", "own.yaml:19:15", "must be a mapping"),
        ("control: demo.bare@1, for: things", "control: demo.bare@1", "own.yaml:26:9", "`for` is missing"),
        ("control: demo.bare@1, for: things", "for: things", "own.yaml:26:9", "has no control"),
        ("version: 1", "version: 1\nversion: 2", "own.yaml:3:1", "stands twice"),
        ("- planned: the light", "- control: demo.only@2\n        planned: the light", "own.yaml:21", "beside"),
        ("    text: A bare promise.\n", "", "own.yaml:22:5", "`text` is missing"),
    ],
)
def test_every_error_has_its_place_and_a_mend(load, old, new, place, words):
    assert old in BASE
    error = refused(load, BASE.replace(old, new, 1))
    text = f"{error}\n{error.advice}"
    assert place in text, text
    assert words in text, text
    assert "pydantic" not in text


def test_all_problems_of_a_file_are_told_together(load):
    text = BASE.replace("tier: must-have", "teir: must-have").replace("samples: 3", "samples: many")
    error = refused(load, text)
    assert "unknown key `teir`" in str(error)
    assert "`samples` must be a whole number" in str(error)


def test_a_broken_plugin_keeps_its_requirement_and_the_others(load):
    text = BASE.replace("{control: demo.bare@1, for: things}", "{control: ruined.it@1, for: ruins, with: {a: $wait}}")
    loaded = load(text)
    assert loaded.profile.clauses[1].requires[0].with_.parsed() == {"a": "PT15M"}


def test_a_control_stands_once_in_a_clause(load):
    text = BASE + "      - {control: demo.bare@1, for: things}\n"
    assert "stands twice" in str(refused(load, text))


def test_two_dollars_are_a_literal_dollar(load):
    text = BASE.replace("within: $wait", "frozen_mode: $$wait")
    assert load(text).profile.clauses[0].requires[0].with_.parsed()["frozen_mode"] == "$wait"


def test_an_heir_that_says_nothing_changes_nothing(load):
    base = load(BASE).profile.clauses
    loaded = load("profile: own\nversion: 1\ntitle: Own\nextends: ./base.yaml\n")
    assert loaded.profile.clauses == base
    assert [source.profile for source in loaded.profile.sources] == ["own", "base"]
    assert [name for name, _ in loaded.texts] == ["own.yaml", "base.yaml"]


def test_an_heir_may_tighten_everything(load):
    loaded = load(
        heir(
            """
            - id: ONE
              text: Restated in our contract.
              tier: must-have
              tags: [dora:30.2]
              remedy: {cure_within: P10D}
              requires:
                - control: demo.only@2
                  for: things
                  with: {only: [red], within: PT5M, at_least: 4, mode: required, must: [red]}
                  evidence: {assurance: observed, max_age: P1D, samples: 11, coverage: [2, 3], vantages: 2}
                - {control: demo.bare@1, for: things, replaces: the light will be measured}
            - id: NEW
              text: One more.
              tier: nice-to-have
              requires: [{planned: something}]
            """,
            head="parameters:\n  place: {value: [EU]}\n  wait: {value: PT10M}\n",
        )
    )
    one, two, new = loaded.profile.clauses
    assert (one.tier, one.tags, one.text) == ("must-have", ("gdpr:32", "dora:30.2"), "Restated in our contract.")
    assert [type(r) for r in one.requires] == [Demand, Demand]
    assert one.requires[0].evidence.samples == 11
    assert one.remedy.consequence == "credit"
    assert two.id == "TWO"
    assert new.id == "NEW"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tier: nice-to-have", "demands strongly-preferred"),
        ("remedy: {cure_within: P31D}", "demands P30D"),
        ("requires: [{control: demo.only@1, for: things/b}]", "demands: things/a-*"),
        ("requires: [{control: demo.only@1, with: {only: [red, blue]}}]", "demands [green, red]"),
        ("requires: [{control: demo.only@1, with: {within: PT16M}}]", "demands PT15M"),
        ("requires: [{control: demo.only@1, with: {at_least: 0}}]", "demands 1"),
        ("requires: [{control: demo.only@1, with: {frozen_mode: fancy}}]", "may not change `frozen_mode`"),
        ("requires: [{control: demo.only@1, evidence: {assurance: stated}}]", "demands configured"),
        ("requires: [{control: demo.only@1, evidence: {max_age: P8D}}]", "demands P7D"),
        ("requires: [{control: demo.only@1, evidence: {samples: 2}}]", "demands 3"),
        ("requires: [{control: demo.only@1, evidence: {coverage: [1, 3]}}]", "demands [1, 2]"),
        ("requires: [{control: demo.bare@1, for: things, replaces: other words}]", "no `planned` requirement"),
    ],
)
def test_an_heir_may_not_loosen(load, change, words):
    error = refused(load, heir(f"  - id: ONE\n    {change}\n"))
    assert words in str(error)
    assert "own.yaml:7:" in str(error) or "own.yaml:6:" in str(error)
    assert "`base`" in str(error) or "parent" in str(error)


def test_an_older_control_is_refused(load):
    base = BASE.replace("demo.only@1", "demo.only@2")
    error = refused(load, heir("  - id: ONE\n    requires: [{control: demo.only@1}]\n"), base)
    assert "is older than `base` demands: demo.only@2" in str(error)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("colours: {value: [red, blue]}", "demands [green, red]"),
        ("wait: {value: PT20M}", "demands PT15M"),
        ("place: {value: [EU, US]}", "demands: [EU, EFTA]"),
        ("loose: {value: something}", "no control uses it yet"),
        ("place: {value: [EU], tighter: superset}", "direction of `place` is fixed"),
        ("colours: {required: true}", "has a value already"),
    ],
)
def test_a_parameter_may_not_loosen(load, parameter, words):
    text = heir("  - {id: NEW, text: t, tier: must-have, requires: [{planned: p}]}", f"parameters:\n  {parameter}\n")
    error = refused(load, text)
    assert words in str(error)
    assert "own.yaml:6:" in str(error)


def test_a_parameter_may_tighten_through_the_control_that_uses_it(load):
    loaded = load("profile: own\nversion: 1\ntitle: O\nextends: base.yaml\nparameters: {colours: {value: [red]}}\n")
    assert loaded.profile.clauses[0].requires[0].with_.parsed()["only"] == ["red"]


def test_an_open_parameter_is_filled_by_the_heir_and_hides_no_loosening(load):
    base = BASE.replace("within: $wait", "within: $name")
    ok = heir("  - id: ONE\n    requires: [{control: demo.only@1}]\n", "parameters: {name: {value: PT1M}}\n")
    assert load(ok, base).profile.clauses[0].requires[0].with_.parsed()["within"] == "PT1M"
    bad = ok.replace("demo.only@1}", "demo.only@1, with: {only: [blue]}}")
    assert "loosens" in str(refused(load, bad, base))


COLOURS = st.sets(st.sampled_from(["red", "green", "blue", "NO"]), min_size=1)
FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@FILES
@given(old=COLOURS, new=COLOURS, waits=st.tuples(*[st.integers(1, 99)] * 2), by_parameter=st.booleans())
def test_an_heir_loads_exactly_when_it_tightens(load, old, new, waits, by_parameter):
    base = BASE.replace("[red, green]", f"[{', '.join(old)}]").replace("PT15M", f"PT{waits[0]}M")
    if by_parameter:
        own = f"parameters: {{colours: {{value: [{', '.join(new)}]}}, wait: {{value: PT{waits[1]}M}}}}\n"
        text = "profile: own\nversion: 1\ntitle: O\nextends: base.yaml\n" + own
    else:
        stated = f"{{only: [{', '.join(new)}], within: PT{waits[1]}M}}"
        text = heir(f"  - {{id: ONE, requires: [{{control: demo.only@1, with: {stated}}}]}}\n")
    if new <= old and waits[1] <= waits[0]:
        parameters = load(text, base).profile.clauses[0].requires[0].with_.parsed()
        assert set(parameters["only"]) == new
    else:
        refused(load, text, base)


def test_a_parameter_with_a_direction_of_its_own_is_compared_as_numbers_durations_and_sets(load):
    base = BASE.replace("loose: {value: anything}", "loose: {value: 9, tighter: higher}")
    for value, fine in [("10", True), ("8", False), ("P9D", False), ("[9]", False), ("nine", False)]:
        text = "profile: own\nversion: 1\ntitle: O\nextends: base.yaml\n"
        text += f"parameters: {{loose: {{value: {value}}}}}\n"
        if fine:
            load(text, base)
        else:
            assert "looser" in str(refused(load, text, base))


def test_planned_words_show_the_values_of_parameters(load):
    base = BASE.replace("the light will be measured", "measured within $wait in $place, by $name")
    assert load(base).profile.clauses[0].requires[1].planned == "measured within PT15M in EU, EFTA, by $name"


def test_a_loosening_in_the_middle_of_a_chain_is_found(tmp_path, catalogue):
    write(tmp_path, "base.yaml", BASE)
    loosened = "    requires: [{control: demo.only@1, with: {only: [red, blue]}}]"
    write(tmp_path, "middle.yaml", heir(f"  - id: ONE\n{loosened}\n").replace("profile: own", "profile: middle"))
    own = heir("  - id: ONE\n    requires: [{control: demo.only@1, with: {only: [red]}}]\n")
    with pytest.raises(ProfileError, match=r"middle\.yaml:7:"):
        load_profile(write(tmp_path, "own.yaml", own.replace("base.yaml", "middle.yaml")), catalogue)


def test_circles_and_long_chains_are_refused(tmp_path, catalogue):
    text = "profile: p{0}\nversion: 1\ntitle: t\nextends: ./{1}.yaml\n"
    write(tmp_path, "a.yaml", text.format("a", "b"))
    write(tmp_path, "b.yaml", text.format("b", "a"))
    with pytest.raises(ProfileError, match="circle"):
        load_profile(str(tmp_path / "a.yaml"), catalogue)
    for index in range(12):
        write(tmp_path, f"c{index}.yaml", text.format(index, f"c{index + 1}"))
    with pytest.raises(ProfileError, match="more than 8"):
        load_profile(str(tmp_path / "c0.yaml"), catalogue)


def test_names_are_found_in_the_search_path_and_clashes_are_told(tmp_path, catalogue):
    write(tmp_path, "vendor.yaml", BASE)
    assert load_profile("vendor", catalogue, (tmp_path,)).profile.profile == "base"
    with pytest.raises(ProfileError) as caught:
        load_profile("vender", catalogue, (tmp_path,))
    assert "did you mean `vendor`?" in caught.value.advice
    write(tmp_path, "base-saas.yaml", BASE)
    with pytest.raises(ProfileError, match="two different profiles"):
        load_profile("base-saas", catalogue, (tmp_path,))
    with pytest.raises(ProfileError, match="neither"):
        load_profile("..", catalogue, (tmp_path,))
    with pytest.raises(ProfileError, match="no such file"):
        load_profile("./nowhere.yaml", catalogue)


def test_approvers_are_inherited_and_none_is_added(load):
    key = "QUJD" * 16
    base = BASE.replace("clauses:", f"approvers: [{{name: Ada, public_key: {key}}}]\nclauses:", 1)
    plain_heir = "profile: own\nversion: 1\ntitle: O\nextends: ./base.yaml\n"
    assert load(plain_heir, base).profile.approvers[0].name == "Ada"
    more = plain_heir + f"approvers: [{{name: Bob, public_key: {key}}}]\n"
    assert "no approver of `base`" in str(refused(load, more, base))


def test_a_profile_without_clauses_is_refused(load):
    assert "no clause" in str(refused(load, "profile: own\nversion: 1\ntitle: t\n"))
