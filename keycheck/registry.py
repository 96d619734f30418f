"""Finds probes, controls, subject models and verbs through entry points; ours exactly as a stranger's.

    [project.entry-points."keycheck.controls"]   tls = "probes.tls.controls"          a module with `CONTROLS`
    [project.entry-points."keycheck.subjects"]   endpoints = "probes.tls.subjects:Endpoint"
    [project.entry-points."keycheck.probes"]     tls = "probes.tls.observe:EndpointProbe"
                                                 "keys.log" = "probes.keys.log:LogProbe"
    [project.entry-points."keycheck.commands"]   tls = "probes.tls.command:app"
    [project.entry-points."keycheck.mechanisms"] aws-deny = "probes.keys.drill.aws_deny:Deny"
    [project.entry-points."keycheck.scanners"]   aws-keys = "probes.keys.drill.aws_scan:AwsScanner"
    [project.entry-points."keycheck.drill"]      import-parameters = "probes.keys.drill.import_parameters:app"

The name of a controls entry point is the first segment of the control ids in it. An area is imported when
something of it is first asked for. A plugin that cannot be loaded, or whose code is not a file of the
distribution that registered it, is `Broken`: visible in the assessment, never skipped, never fatal to others.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import unquote, urlsplit

from keycheck.boundary import Crash, guarded
from keycheck.model.control import Control
from keycheck.model.deployment import Subject
from keycheck.model.drill import Mechanism
from keycheck.model.facts import Facts
from keycheck.model.probe import Probe
from keycheck.model.scan import Scanner

CONTROLS, SUBJECTS, PROBES, COMMANDS, MECHANISMS, SCANNERS, DRILL_COMMANDS = GROUPS = (
    "keycheck.controls",
    "keycheck.subjects",
    "keycheck.probes",
    "keycheck.commands",
    "keycheck.mechanisms",
    "keycheck.scanners",
    "keycheck.drill",
)
AnyProbe = Probe[Subject, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point and the distribution that registered it."""

    group: str
    name: str
    value: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that cannot be used, and why."""

    group: str
    name: str
    distribution: str
    message: str


class Registry:
    """What is installed. Made once by `load_registry` and passed to whoever needs it."""

    def __init__(self, plugins: Mapping[Plugin, Callable[[], object]]) -> None:
        self._loaders = dict(plugins)
        self._loaded: dict[Plugin, object] = {}

    def plugins(self) -> tuple[Plugin, ...]:
        """Everything that is registered, sorted; nothing is imported."""
        return tuple(sorted(self._loaders, key=lambda p: (p.group, p.name, p.distribution)))

    def load(self, group: str, name: str) -> object | Broken | None:
        """The object behind an entry point; None when nobody registered the name."""
        found = [plugin for plugin in self.plugins() if (plugin.group, plugin.name) == (group, name)]
        if not found:
            return None
        if len(found) > 1:
            owners = ", ".join(sorted(plugin.distribution for plugin in found))
            return Broken(group, name, owners, f"registered by more than one distribution: {owners}")
        plugin = found[0]
        if plugin not in self._loaded:
            self._loaded[plugin] = self._import(plugin)
        return self._loaded[plugin]

    def _import(self, plugin: Plugin) -> object:
        loaded = guarded(self._loaders[plugin])
        if isinstance(loaded, Crash):
            message = f"{plugin.value} of {plugin.distribution} {plugin.version} does not load: {loaded}"
            return Broken(plugin.group, plugin.name, plugin.distribution, message[:500])
        return loaded

    def names(self, group: str) -> tuple[str, ...]:
        """The registered names of a group."""
        return tuple(sorted({plugin.name for plugin in self._loaders if plugin.group == group}))

    def control(self, ref: str) -> type[Control] | Broken | None:
        """The control behind `id@version`; None when it does not exist."""
        area = self._controls(ref.partition(".")[0])
        return area if isinstance(area, Broken) else area.get(ref)

    def _controls(self, area: str) -> Mapping[str, type[Control]] | Broken:
        module = self.load(CONTROLS, area)
        if module is None or isinstance(module, Broken):
            return module or {}
        listed = getattr(module, "CONTROLS", None)
        if not isinstance(listed, tuple) or not all(isinstance(c, type) and issubclass(c, Control) for c in listed):
            return Broken(CONTROLS, area, "", f"{module!r} has no tuple CONTROLS of Control subclasses")
        wrong = [c.reference() for c in listed if not c.id.startswith(f"{area}.")]
        if wrong or len({c.reference() for c in listed}) != len(listed):
            return Broken(CONTROLS, area, "", f"control ids must be unique and start with '{area}.': {wrong}")
        return {control.reference(): control for control in listed}

    def control_refs(self) -> tuple[str, ...]:
        """Every `id@version` that can be loaded."""
        areas = [self._controls(name) for name in self.names(CONTROLS)]
        return tuple(sorted(ref for area in areas if not isinstance(area, Broken) for ref in area))

    def subject(self, section: str) -> type[Subject] | Broken | None:
        """The model of a deployment section."""
        return self._typed(SUBJECTS, section, Subject)

    def sections(self) -> tuple[str, ...]:
        """The deployment sections that areas own."""
        return self.names(SUBJECTS)

    def probe_for(self, facts: type[Facts]) -> AnyProbe | Broken | None:
        """The probe that yields these facts. Its entry point is called like the probe (`keys.log`), or like the
        area, the first segment, where the area has only one."""
        probe = facts.schema_id.partition("/")[0]
        area = probe.partition(".")[0]
        kind = self.load(PROBES, probe if probe in self.names(PROBES) else area)
        if kind is None or isinstance(kind, Broken):
            return kind
        if not (isinstance(kind, type) and issubclass(kind, Probe)):
            return Broken(PROBES, area, "", f"{kind!r} is not a Probe")
        if kind.facts.schema_id != facts.schema_id:
            return None
        if kind.id != probe:
            return Broken(PROBES, area, "", f"probe {kind.id} must be named after its facts {facts.schema_id}")
        return cast("AnyProbe", kind())

    def mechanism(self, kind: str) -> type[Mechanism] | Broken | None:
        """What a drill of this kind changes the world with, and back."""
        loaded = self.load(MECHANISMS, kind)
        if loaded is None or isinstance(loaded, Broken):
            return loaded
        if isinstance(loaded, type) and issubclass(loaded, Mechanism):
            return loaded
        return Broken(MECHANISMS, kind, "", f"{loaded!r} is not a Mechanism")

    def scanners(self) -> tuple[str, ...]:
        """The names of whoever looks for what drills left behind."""
        return self.names(SCANNERS)

    def scanner(self, name: str) -> type[Scanner[Subject]] | Broken | None:
        """Who looks for what drills left behind in one cloud."""
        loaded = self.load(SCANNERS, name)
        if loaded is None or isinstance(loaded, Broken):
            return loaded
        if isinstance(loaded, type) and issubclass(loaded, Scanner):
            return loaded
        return Broken(SCANNERS, name, "", f"{loaded!r} is not a Scanner")

    def _typed(self, group: str, name: str, base: type[T]) -> type[T] | Broken | None:
        loaded = self.load(group, name)
        if loaded is None or isinstance(loaded, Broken):
            return loaded
        if isinstance(loaded, type) and issubclass(loaded, base):
            return loaded
        return Broken(group, name, "", f"{loaded!r} is not a {base.__name__}")


def load_registry(found: Iterable[Distribution] | None = None) -> Registry:
    """Everything that the installed distributions register; nothing is imported yet."""
    plugins: dict[Plugin, Callable[[], object]] = {}
    for distribution in distributions() if found is None else found:
        for entry in distribution.entry_points:
            if entry.group in GROUPS:
                plugin = Plugin(entry.group, entry.name, entry.value, distribution.name, distribution.version)
                plugins.setdefault(plugin, _loader(entry, distribution))
    return Registry(plugins)


def _loader(entry: EntryPoint, distribution: Distribution) -> Callable[[], object]:
    def load() -> object:
        _check_origin(entry.module, distribution)
        return entry.load()

    return load


def _check_origin(module: str, distribution: Distribution) -> None:
    """The module that Python would import must be a file of the distribution that registered it: listed
    in RECORD, or inside the source tree of an editable install (direct_url.json). Otherwise somebody's
    `probes` on the path could stand in for ours."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"module {module} is not there")
    origin = Path(spec.origin).resolve()
    if tree := _editable_tree(distribution):
        if not origin.is_relative_to(tree):
            raise ImportError(f"{module} is {origin}, outside the editable tree {tree}")
        return
    listed = {Path(str(file.locate())).resolve() for file in distribution.files or ()}
    if origin not in listed:
        raise ImportError(f"{module} is {origin}, which is no file of {distribution.name}")


def _editable_tree(distribution: Distribution) -> Path | None:
    text = distribution.read_text("direct_url.json")
    if not text:
        return None
    record = json.loads(text)
    if not isinstance(record, dict) or not record.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(str(record["url"])).path)).resolve()
