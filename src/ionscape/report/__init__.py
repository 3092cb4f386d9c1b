"""Figures and the report page, made from results."""
