"""Thermodynamic stability: equilibria of competing phases and distances to the convex hull."""
