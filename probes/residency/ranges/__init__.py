"""Published address ranges of the clouds and edges: a packed, dated index that says who announces an address where.

Published ranges affirm and never prove: they are what a provider says about its own addresses on a day.
"""
