"""Evidence: what was observed, in a form that a hostile reader can check without trusting keycheck.

The rooms, from the bottom up: ``merkle`` (one digest for all leaves), ``keys`` (who signs), ``dsse`` and
``statement`` (what is signed), ``container`` and ``layout`` (one spelling for every bundle), ``inputs`` (what a
run commits itself to), ``lines`` (what every observation must satisfy), ``bundle`` and ``reader``, ``verify``
(all checks of a bundle), ``sign`` (detached signatures of waivers and authorizations). ``standalone`` holds the
one-file verifier that travels inside each bundle and shares no code with the rest.

Nothing here knows what an observation means; nothing here opens a socket or reads a clock.
"""
