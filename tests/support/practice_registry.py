"""A registry that holds the practice plugin and nothing else, and one whose plugin is broken."""

from __future__ import annotations

import types
from collections.abc import Callable

import practice_plugin

from keycheck.registry import CONTROLS, PROBES, SUBJECTS, Plugin, Registry


def practice_registry(probe: type = practice_plugin.DoorProbe, **replaced: Callable[[], object]) -> Registry:
    """`replaced`: loaders to put in place of `controls`, `subjects` or `probes`."""

    def controls() -> types.ModuleType:
        return practice_plugin

    loaders: dict[str, Callable[[], object]] = {
        "controls": controls,
        "subjects": lambda: practice_plugin.Door,
        "probes": lambda: probe,
    } | replaced
    return Registry(
        {
            Plugin(CONTROLS, "door", "practice_plugin", "practice", "1"): loaders["controls"],
            Plugin(SUBJECTS, "doors", "practice_plugin:Door", "practice", "1"): loaders["subjects"],
            Plugin(PROBES, "door", "practice_plugin:DoorProbe", "practice", "1"): loaders["probes"],
        }
    )
