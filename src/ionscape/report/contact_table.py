"""The heat map of mutual reactions as a table of a page: every cell opens its reaction, no script needed.

Cells are buttons that open popovers, an attribute of HTML; where a browser does not know it, a list below the
table tells the same reactions. The numbers can be saved as CSV.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from ionscape.report.heat_scale import NO_REACTION, HeatScale, readable
from ionscape.report.templating import templates
from ionscape.report.typography import decimals, electrode, significant
from ionscape.stability.contact import ContactMatrix, MutualReaction
from ionscape.structures.exchange import replacing

#: Columns of the CSV; energies in meV/atom, products with their shares of the atoms.
COLUMNS = (
    "cathode", "phase", "dE_min_meV_per_atom", "low95_meV_per_atom", "high95_meV_per_atom", "x", "reaction",
    "products",
)  # fmt: skip
#: Width and height of the small profile, and its margin, px.
_WIDE, _HIGH, _EDGE = 260.0, 96.0, 9.0
_STOPS = 9


@dataclass(frozen=True)
class HeatCell:
    """A cell of the table.

    Attributes
    ----------
    identifier
        Identifier of its popover.
    reaction
        What it shows.
    colours
        Style with the colours of ground and text, by day and by night.
    undecided
        Whether it cannot be told from no reaction.
    profile
        The small drawing of its profile.
    """

    identifier: str
    reaction: MutualReaction
    colours: str
    undecided: bool
    profile: Markup


def contact_table(matrix: ContactMatrix, identifier: str = "contact") -> Markup:
    """Return the heat map as HTML: table, popovers, legend, list of all reactions and the CSV to save.

    Parameters
    ----------
    matrix
        The mutual reactions.
    identifier
        Start of the identifiers in it; another one for every matrix of a page.
    """
    scale = HeatScale.over(1000 * min((r.strongest.energy for r in matrix.reactions), default=0.0))
    cells = [
        HeatCell(f"{identifier}-{k}", r, _colours(scale, 1000 * r.strongest.energy), is_undecided(r), _profile(r))
        for k, r in enumerate(matrix.reactions, start=1)
    ]
    width = len(matrix.phases)
    return Markup(  # noqa: S704  the template escapes
        templates()
        .get_template("contact_table.html")
        .render(
            matrix=matrix,
            rows=[(c, cells[i * width : (i + 1) * width]) for i, c in enumerate(matrix.cathodes)],
            ranked=sorted(cells, key=lambda cell: cell.reaction.strongest.energy),
            scale=scale,
            gradients=_gradients(scale),
            conditions=conditions_html(matrix),
            csv_address=f"data:text/csv;charset=utf-8,{quote(contact_csv(matrix))}",
            csv_name="contact.csv" if matrix.voltage is None else f"contact-{matrix.voltage:.2f}V.csv",
            no_reaction=NO_REACTION,
        )
    )


def is_undecided(reaction: MutualReaction) -> bool:
    """Return whether the reaction's 95 % interval reaches so near to 0 that it cannot be told from no reaction."""
    return reaction.interval is not None and 1000 * reaction.interval.high95 > -NO_REACTION


def conditions_html(matrix: ContactMatrix) -> Markup:
    """Return in words, as safe HTML, under which conditions the reactions go on."""
    if matrix.voltage is None:
        system = Markup("closed system")
    else:
        system = Markup("at {}\u2009V against {}").format(significant(matrix.voltage), electrode(matrix.mobile))
    return Markup("{}, {}").format(system, matrix.conditions or "0\u2009K")


def _colours(scale: HeatScale, energy: float) -> str:
    day, night = scale.day(energy), scale.night(energy)
    return f"--day:{day};--day-ink:{readable(day)};--night:{night};--night-ink:{readable(night)}"


def _gradients(scale: HeatScale) -> str:
    energies = [scale.lowest * k / (_STOPS - 1) for k in range(_STOPS)]
    stops = ", ".join(f"light-dark({scale.day(energy)}, {scale.night(energy)})" for energy in energies)
    return f"background-image:linear-gradient(90deg, {stops})"


def _profile(reaction: MutualReaction) -> Markup:
    """Return the reaction energy along x as a small drawing, the lowest point ringed."""
    depth = max(-min(point.energy for point in reaction.profile), 1e-9)
    places = [_place(point.x, max(0.0, -point.energy / depth)) for point in reaction.profile]
    ring = _place(reaction.strongest.x, max(0.0, -reaction.strongest.energy / depth))
    return Markup(
        '<svg class="profile" role="img" aria-label="Reaction energy along the mixing ratio" '
        'viewBox="0 0 {:g} {:g}"><line class="zero" x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}"/>'
        '<polyline points="{}"/>{}<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="6"/></svg>'
    ).format(
        _WIDE, _HIGH, _EDGE, _EDGE, _WIDE - _EDGE, _EDGE,
        " ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        Markup("").join(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(x, y) for x, y in places),
        *ring,
    )  # fmt: skip


def _place(x: float, share: float) -> tuple[float, float]:
    return _EDGE + x * (_WIDE - 2 * _EDGE), _EDGE + share * (_HIGH - 2 * _EDGE)


def contact_csv(matrix: ContactMatrix) -> str:
    """Return the reactions as CSV, one pair a line, energies in meV/atom; empty where not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in matrix.reactions:
        ends = (r.interval.low95, r.interval.high95) if r.interval else ()
        writer.writerow(
            [
                r.cathode,
                r.phase,
                f"{1000 * r.strongest.energy:.4f}",
                *([f"{1000 * end:.4f}" for end in ends] or ["", ""]),
                f"{r.strongest.x:.6f}",
                r.strongest.reaction,
                "; ".join(f"{formula} {share:.6f}" for formula, share in r.strongest.products.items()),
            ]
        )
    return text.getvalue()


def write_contact_csv(matrix: ContactMatrix, path: Path) -> Path:
    """Write `contact_csv` to `path`; return it.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as part:
        part.write_text(contact_csv(matrix), encoding="utf-8")
    return path


def write_contact_page(matrix: ContactMatrix, path: Path) -> Path:
    """Write the heat map as a page of its own, one file that loads nothing and runs no script; return its path.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    page = templates().get_template("contact_page.html")
    text = page.render(matrix=matrix, table=contact_table(matrix), title=page_title(matrix))
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def page_title(matrix: ContactMatrix) -> str:
    """Return the title of the page of `matrix`."""
    at = "" if matrix.voltage is None else f" at {decimals(matrix.voltage, 2)}\u2009V"
    return f"Reactions of {len(matrix.cathodes)} cathodes with {len(matrix.phases)} phases{at}"
