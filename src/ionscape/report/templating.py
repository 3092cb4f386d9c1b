"""The templates of the pages: everything that names or numbers contain is escaped, nothing undefined passes."""

from __future__ import annotations

import functools
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ionscape.report.quantity import Quantity
from ionscape.report.typography import (
    breakable_formula,
    converted,
    decimals,
    electrode,
    formula_html,
    number,
    significant,
)


@functools.cache
def templates() -> Environment:
    """Return the environment of the templates with the filters that all of them share."""
    environment = Environment(
        loader=PackageLoader("ionscape.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "formula": formula_html,
        "breakable": breakable_formula,
        "electrode": electrode,
        "number": number,
        "milli": milli,
        "decimals": decimals,
        "short": short,
        "doi": doi_link,
    }
    return environment


def short(value: float, digits: int = 4) -> Markup:
    """Return a number with at most `digits` significant digits as safe HTML, powers of ten raised."""
    mantissa, _, exponent = significant(value, digits).partition("10^")
    return Markup("{}10<sup>{}</sup>").format(mantissa, exponent) if exponent else Markup(mantissa)  # noqa: S704


def milli(energy: Quantity | float, digits: int = 1) -> str:
    """Return a quantity in thousandths of its unit, or eV as meV, without the unit."""
    value = converted(energy, f"m{energy.unit}") if isinstance(energy, Quantity) else 1000 * energy
    return decimals(value, digits)


def doi_link(doi: str) -> Markup:
    """Return a link to a DOI as safe HTML, or nothing if there is none."""
    if not doi:
        return Markup()
    return Markup('<a href="https://doi.org/{}">doi:{}</a>').format(quote(doi, safe="/:;()._-"), doi)
