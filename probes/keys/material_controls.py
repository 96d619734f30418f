"""Controls over key material in time: its age, its expiry, and the way to deletion. Pure. Ages count to `looked`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal, assert_never

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import Duration
from keycheck.model.verdict import Kind, Reason, Verdict, failed, inconclusive, not_applicable, passed
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsDescription, AwsKey, AwsMaterial
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey, GcpVersion
from probes.keys.key_control import SKEW, KeyControl, day, days, in_use, settle, unread
from probes.keys.origin_controls import EXTERNAL_LEVELS

_STORES: Final = {"AWS_CLOUDHSM": "the customer's CloudHSM cluster", "EXTERNAL_KEY_STORE": "an external key manager"}
_ORIGINS: Final = frozenset({"AWS_KMS", "EXTERNAL", *_STORES})


class MaterialAge(KeyControl, id="keys.material-age", version=1):
    """The key material now in use is not older than agreed, by the date of the material itself."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.MATERIALS})
    proves = (
        "The material that new data is encrypted with became current, was generated or was imported at most `max_age` "
        "before the time of looking, as the cloud dates it. On imported keys the automatic-rotation flag means "
        "nothing: AWS cannot rotate them, and tools that read the flag fail every healthy one."
    )
    does_not_prove = (
        "How old imported material is outside the cloud, that records were encrypted again after a rotation, or that "
        "the vendor's data keys are as young. In Google Cloud the primary's age is judged, and whoever names another "
        "enabled version can still encrypt with that. For material that an external key manager or a CloudHSM cluster "
        "keeps, the cloud states no date."
    )
    example = "{control: keys.material-age@1, for: keys, with: {max_age: P365D}}"
    sources = (
        "AWS KMS API Reference: ListKeyRotations (IncludeKeyMaterial), RotateKeyOnDemand",
        "AWS KMS Developer Guide: Rotate AWS KMS keys (imported key material)",
        "Cloud KMS reference: CryptoKeyVersion (generateTime, importTime)",
    )

    max_age: Annotated[Duration, Tighter("lower")]
    applies: Annotated[Literal["always", "recorded"], Tighter("order", ("recorded", "always"))] = "always"
    """`recorded`: does not concern keys whose material the cloud keeps no date of."""

    def judge(self, facts: KeyFacts) -> Verdict:
        """By the material or the version in use."""
        match facts.key:
            case AwsKey() as key:
                return self._aws(key, facts.looked)
            case GcpKey() as key:
                return self._gcp(key, facts.looked)
            case _:
                assert_never(facts.key)

    def _aws(self, key: AwsKey, looked: datetime) -> Verdict:
        about = key.description
        if about.origin in _STORES:
            return self._undated(f"the material is kept by {_STORES[about.origin]}, and AWS states no date of it")
        if about.origin not in _ORIGINS:
            return inconclusive(Reason.UNSUPPORTED, f"has the unknown origin {about.origin!r}")
        if _may_have_several(about):
            if isinstance(key.materials, Unseen):
                return unread("the dates of the key's materials", key.materials)
            current = _current(key.materials, about)
            if isinstance(current, Verdict):
                return current
            if current.import_state == "PENDING_IMPORT":
                return inconclusive(Reason.NO_POSITIVE, "the current material is missing: none is in use")
            if current.rotated is not None:
                return self._aged(current.rotated, looked, "the material in use became current")
        elif about.state == "PendingImport":
            return inconclusive(Reason.NO_POSITIVE, "waits for its material: none is in use")
        if about.origin == "AWS_KMS" or looked - about.created <= self.max_age:
            # The first material that AWS made is as old as its key; imported material was never there before it.
            aged = self._aged(about.created, looked, "the key, with its first material, was made")
            if about.multi_region is not None and aged.kind is Kind.PASS:
                return inconclusive(
                    Reason.NOT_COVERED,
                    f"this key of a multi-Region key was made on {day(about.created)}, but the material is that of a "
                    "related key, which may be older: rotate it once, and every later date is known",
                )
            return aged
        return inconclusive(
            Reason.NOT_COVERED,
            f"its first material was imported between {day(about.created)} and {day(looked)}, and AWS does not state "
            "when: rotate it once, and every later date is known",
        )

    def _gcp(self, key: GcpKey, looked: datetime) -> Verdict:
        if isinstance(key.versions, Unseen):
            return unread("the key's versions", key.versions)
        current = in_use(key, key.versions)
        if isinstance(current, Verdict):
            return inconclusive(Reason.NO_POSITIVE, current.message)
        if not current:
            return inconclusive(Reason.NO_POSITIVE, "no version is enabled: no material is in use")
        verdicts = [self._version(version, looked) for version in current]
        if all(verdict.kind is Kind.NOT_APPLICABLE for verdict in verdicts):
            return verdicts[0]
        breaches = [verdict.message for verdict in verdicts if verdict.kind is Kind.FAIL]
        doubts = [verdict for verdict in verdicts if verdict.kind is Kind.INCONCLUSIVE]
        return settle(breaches, doubts, next((v for v in verdicts if v.kind is Kind.PASS), verdicts[0]))

    def _version(self, version: GcpVersion, looked: datetime) -> Verdict:
        if version.protection in EXTERNAL_LEVELS:
            return self._undated(
                f"the material of version {version.id} is kept by an external key manager, and Google states no date"
            )
        made = version.imported or version.generated
        if made is None:
            return inconclusive(Reason.NO_POSITIVE, f"version {version.id} has no material yet ({version.state})")
        verb = "imported" if version.imported else "generated"
        return self._aged(made, looked, f"version {version.id}, in use, was {verb}")

    def _undated(self, why: str) -> Verdict:
        if self.applies == "recorded":
            return not_applicable(why)
        return inconclusive(Reason.UNSUPPORTED, f"{why}: ask for the key manager's own record")

    def _aged(self, since: datetime, looked: datetime, what: str) -> Verdict:
        age = looked - since
        if age < -SKEW:
            return inconclusive(
                Reason.CLOCK_UNTRUSTED, f"{what} on {day(since)}, after the time of looking, {day(looked)}"
            )
        age = max(age, timedelta())
        if age > self.max_age:
            return failed(f"{what} on {day(since)}, {days(age)} ago: more than {days(self.max_age)}")
        return passed(f"{what} on {day(since)}, {days(age)} ago: at most {days(self.max_age)}")


def _may_have_several(about: AwsDescription) -> bool:
    """Only symmetric encryption keys take a second material."""
    return about.spec == "SYMMETRIC_DEFAULT"


def _current(materials: tuple[AwsMaterial, ...], about: AwsDescription) -> AwsMaterial | Verdict:
    found = [m for m in materials if m.state == "CURRENT" or (not m.state and m.id and m.id == about.current_material)]
    if len(found) != 1:
        return inconclusive(Reason.NOT_COVERED, "AWS lists no current material of the key, or several")
    if found[0].id and about.current_material and found[0].id != about.current_material:
        listed, described = _short(found[0].id), _short(about.current_material)
        return inconclusive(
            Reason.CONFLICTING, f"ListKeyRotations calls material {listed} current, DescribeKey {described}"
        )
    return found[0]


_ASSOCIATED: Final = frozenset({"CURRENT", "NON_CURRENT"})
_WAITING: Final = frozenset({"PENDING_ROTATION", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"})


class MaterialExpiry(KeyControl, id="keys.material-expiry", version=1):
    """All imported material is in place, and none of it expires soon."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.MATERIALS})
    proves = (
        "Every material that is permanently associated with the imported key was imported at the time of looking, and "
        "none expires within `horizon`. One missing material, even one no longer current, makes the whole key unusable."
    )
    does_not_prove = (
        "That the customer keeps a copy to import again, or that nobody deletes material tomorrow. Material that waits "
        "for its rotation is not judged: it is in no use yet."
    )
    example = "{control: keys.material-expiry@1, for: keys, with: {horizon: P30D}}"
    sources = (
        "AWS KMS Developer Guide: Importing key material (expiration), Rotate imported key material",
        "AWS KMS API Reference: RotationsListEntry (KeyMaterialState, ImportState, ValidTo)",
        "Cloud KMS: Key import",
    )

    horizon: Annotated[Duration, Tighter("higher")]

    def judge(self, facts: KeyFacts) -> Verdict:
        """Only imported keys of AWS can expire."""
        match facts.key:
            case AwsKey() as key:
                return self._aws(key, facts.looked)
            case GcpKey() as key:
                return _gcp_import(key)
            case _:
                assert_never(facts.key)

    def _aws(self, key: AwsKey, looked: datetime) -> Verdict:
        about = key.description
        if about.origin not in _ORIGINS:
            return inconclusive(Reason.UNSUPPORTED, f"has the unknown origin {about.origin!r}")
        if about.origin != "EXTERNAL":
            return not_applicable(f"its material was not imported (origin {about.origin}), so it does not expire")
        breaches: list[str] = []
        doubts: list[Verdict] = []
        if about.state == "PendingImport":
            breaches.append("waits for material to be imported: the key is unusable")
        if about.valid_to is not None and about.valid_to <= looked + self.horizon:
            breaches.append(f"material {_short(about.current_material)} expires on {day(about.valid_to)}")
        lasting: tuple[AwsMaterial, ...] = ()
        if not _may_have_several(about):
            lasting = (_only_material(about),)
        elif isinstance(key.materials, Unseen):
            doubts.append(unread("the key's materials", key.materials))
        else:
            lasting = tuple(m for m in key.materials if m.state not in _WAITING)
            if not lasting:
                doubts.append(inconclusive(Reason.NO_POSITIVE, "AWS lists no material of the key"))
            elif isinstance(current := _current(lasting, about), Verdict):
                doubts.append(current)
        for material in lasting:
            self._one(material, about, looked, breaches, doubts)
        ends = [m.valid_to for m in lasting if m.valid_to is not None]
        until = f"the first expires on {day(min(ends))}" if ends else "none expires"
        count = "its one material is" if len(lasting) == 1 else f"all {len(lasting)} materials are"
        return settle(breaches, doubts, passed(f"{count} imported; {until}"))

    def _one(
        self,
        material: AwsMaterial,
        about: AwsDescription,
        looked: datetime,
        breaches: list[str],
        doubts: list[Verdict],
    ) -> None:
        name = f"material {_short(material.id)}"
        if material.state not in _ASSOCIATED:
            doubts.append(inconclusive(Reason.UNSUPPORTED, f"{name} is in the unknown state {material.state!r}"))
        if material.import_state == "PENDING_IMPORT":
            breaches.append(f"{name} ({material.state}) is missing: until it is imported again the key is unusable")
            return
        if material.import_state != "IMPORTED":
            doubts.append(inconclusive(Reason.NOT_COVERED, f"AWS does not state whether {name} is imported"))
        model, until = material.expiration_model, material.valid_to
        if material.state == "CURRENT":
            model, until = model or about.expiration_model, until or about.valid_to
        if until is not None:
            if until <= looked + self.horizon:
                breaches.append(f"{name} expires on {day(until)}")
        elif model != "KEY_MATERIAL_DOES_NOT_EXPIRE":
            doubts.append(inconclusive(Reason.NOT_COVERED, f"AWS does not state until when {name} is valid"))


def _only_material(about: AwsDescription) -> AwsMaterial:
    """The one material of an asymmetric or HMAC key, which DescribeKey describes whole."""
    return AwsMaterial(
        id=about.current_material,
        state="CURRENT",
        import_state="PENDING_IMPORT" if about.state == "PendingImport" else "IMPORTED",
        rotated=None,
        rotation_type=None,
        expiration_model=about.expiration_model,
        valid_to=about.valid_to,
    )


def _short(material: str | None) -> str:
    return f"{material[:12]}…" if material and len(material) > 13 else material or "of the key"


def _gcp_import(key: GcpKey) -> Verdict:
    if isinstance(key.versions, Unseen):
        return unread("the key's versions", key.versions)
    for version in key.versions:
        if version.id == key.primary and version.state in ("PENDING_IMPORT", "IMPORT_FAILED"):
            why = f": {version.import_failure}" if version.import_failure else ""
            return failed(f"the material of version {version.id}, the primary, is not imported ({version.state}{why})")
    return not_applicable("material in Cloud KMS has no end date, imported or not")
