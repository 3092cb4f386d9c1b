"""Formulas and numbers as readers expect them: subscripts, sensible digits, true minus signs.

`formula_html` and `number` are for the page, `formula_math` for figures, `electrode` for both.
"""

from __future__ import annotations

import math
import re

from markupsafe import Markup, escape
from pymatgen.core import Element

from ionscape.report.quantity import Quantity

_FORMULA = re.compile(r"^(?:[A-Z][a-z]?(?:\d+(?:\.\d+)?)?|\((?=[A-Z])|\)(?:\d+(?:\.\d+)?)?)+$")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_ELEMENTS = frozenset(Element.__members__)
_COUNT = re.compile(r"(?<=[A-Za-z)])(\d+(?:\.\d+)?)")
_SINGLE = re.compile(r"(?<=[A-Za-z])1(?![\d.])")
_WORDS = re.compile(r"([\s,;:]+)")
_BETWEEN_ELEMENTS = re.compile(r"(?<=[a-zA-Z0-9)>])(?=[A-Z(])")
#: Charges of the ions that cells are made with.
_CHARGES = {
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag", "Cu"), "+"),
    **dict.fromkeys(("Mg", "Ca", "Zn"), "2+"),
    "Al": "3+",
}
_DIGITS = {"V": 2, "Å": 3, "°": 2, "meV/atom": 1, "eV/atom": 3, "eV": 3, "J/m²": 2}


def _is_formula(word: str) -> bool:
    """Return whether `word` is a formula; NCM811 is none, it is a name."""
    return bool(_FORMULA.match(word)) and set(_SYMBOL.findall(word)) <= _ELEMENTS


def formula_html(text: str) -> Markup:
    """Return `text` as safe HTML; the words in it that are formulas with counts get subscripts."""
    return Markup("").join(map(_word_html, _WORDS.split(text)))


def _word_html(word: str) -> Markup:
    if not _is_formula(word):
        return escape(word)
    return Markup(_COUNT.sub(r"<sub>\1</sub>", _SINGLE.sub("", word)))  # noqa: S704  letters, digits, brackets only


def breakable_formula(text: str) -> Markup:
    """Return `text` as `formula_html` does, with line breaks allowed between the elements of a formula."""
    return Markup("").join(map(_breakable, _WORDS.split(text)))


def _breakable(word: str) -> Markup:
    if not _is_formula(word):
        return escape(word)
    html = _word_html(word)

    def allowed(boundary: re.Match[str]) -> str:
        before = html[: boundary.start()]
        return "<wbr>" if before.count("(") == before.count(")") else ""

    return Markup(_BETWEEN_ELEMENTS.sub(allowed, html))  # noqa: S704  letters, digits, brackets, our own tags


def electrode(mobile: str, *, figure: bool = False) -> Markup | str:
    """Return the electrode that voltages are measured against, Li/Li⁺, as safe HTML or for a figure."""
    charge = _CHARGES.get(mobile)
    if charge is None:
        return formula_math(f"{mobile} metal") if figure else Markup("{} metal").format(mobile)
    if figure:
        return f"{mobile}/{mobile}$^{{{charge}}}$"
    return Markup("{0}/{0}<sup>{1}</sup>").format(mobile, charge)


def formula_math(text: str) -> str:
    r"""Return `text` for a figure: formulas with subscripts in mathtext, anything else as it stands.

    Dollar signs lose their meaning, so that no name can start an equation.
    """
    return "".join(
        _COUNT.sub(r"$_{\1}$", _SINGLE.sub("", word)) if _is_formula(word) else word.replace("$", r"\$")
        for word in _WORDS.split(text)
    )


def shortened(name: str, longest: int = 34) -> str:
    """Return `name`, or its beginning where it is longer than `longest` characters, as a label of a figure."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def decimals(value: float, digits: int) -> str:
    """Return `value` with `digits` decimals, a true minus sign and no negative zero."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def number(quantity: Quantity, unit: str | None = None) -> str:
    """Return the number and its unit as one text, eV/atom shown as meV/atom if `unit` asks for it.

    Decimals follow the unit: 0.001 Å, 0.01°, 0.1 meV/atom, 0.001 eV; other numbers get four significant digits.
    """
    value, shown = converted(quantity, unit), unit or quantity.unit
    text = decimals(value, _DIGITS[shown]) if shown in _DIGITS else significant(value)
    return f"{text}\u2009{shown}".replace("\u2009°", "°") if shown not in {"", "1"} else text


def converted(quantity: Quantity, unit: str | None) -> float:
    """Return the value of `quantity` in `unit` (eV to meV and back), or as it is if `unit` is not given."""
    if unit is None or unit == quantity.unit:
        return quantity.value
    if unit == f"m{quantity.unit}":
        return quantity.value * 1000
    if quantity.unit == f"m{unit}":
        return quantity.value / 1000
    message = f"{quantity.unit!r} cannot be shown in {unit!r}"
    raise ValueError(message)


def significant(value: float, digits: int = 4) -> str:
    """Return `value` with at most `digits` significant digits and no trailing zeros."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        return f"{mantissa} × 10^{int(exponent)}".replace("-", "−")
    return mantissa.replace("-", "−")
