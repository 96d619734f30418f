"""Imported by the fork server alone: what it loads once, no drill has to load."""

from cloud_torture_child import warm

warm()
