"""Contract profiles that ship with keycheck, as YAML: read by name, extended with `extends: NAME`.

The wording is keycheck's own. A contract has its own wording: extend a profile, restate `text` and `ref`, and
tighten what the contract tightens. Clauses whose control does not exist yet say `planned:` and come out as
not-tested, so that the gap is seen.
"""
