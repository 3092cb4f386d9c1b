"""Doping: substitution and compensation, Ewald energies of many configurations, the funnel."""
