"""What delays prove about distance: geometry on the sphere. Pure, with the standard library alone.

Whoever answers can add delay and never take any away: so a round trip bounds a distance from above, and nothing bounds
it from below. Every number here is rounded so that a bound stays one.

===============  ====================================================================================================
``sphere``       distances between points, with bounds for what the sphere leaves out
``discs``        how far something can be: discs and ellipses from round trips, with their premises written out
``polygons``     country polygons that a user brings, read with bounds
``borders``      whether a disc is certainly inside or outside of a set of countries
``elimination``  which places of a finite list the discs leave
``conclude``     what that means for a contract's scope, as a signal for the grading
===============  ====================================================================================================
"""
