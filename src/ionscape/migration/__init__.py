"""Migration: how an ion gets from site to site, what barriers stand in between, and how fast it then diffuses."""
