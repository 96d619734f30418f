"""The practice vendor: a CRM on loopback over real TLS, whose defects are known because they are made here.

Nothing in this package knows how keycheck probes; a parser shared by both sides would agree with itself.
"""
