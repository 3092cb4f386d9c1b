"""Interactive figure of migration: energies along the paths of all hops of a crystal."""

from __future__ import annotations

from collections.abc import Sequence

from ionscape.report.interactive.plot import Plot, Trace, axes, curve, hollow
from ionscape.report.migration_records import HopRecord


def hop_plot(hops: Sequence[HopRecord]) -> Plot:
    """Energies of images and the curve through them; the legend tells both barriers; hollow: not converged."""
    traces: list[Trace] = []
    for k, hop in enumerate(hops):
        profile = hop.profile
        if profile is None:
            continue
        group = {"legendgroup": str(k), "hovertemplate": "%{x:.2f} Å: %{y:.3f} eV"}
        name = f"{hop.name}: {hop.start} → {hop.end}, {profile.forward:.2f} / {profile.backward:.2f} eV"
        images = curve(name, profile.coordinates, profile.energies, k, mode="markers", **group)
        traces.append(images if hop.converged else hollow(images))
        traces.append(curve(name, *profile.curve(), k, showlegend=False, **group))
    return Plot(traces, axes("path length (Å)", "energy above the initial site (eV)"), 440)
