"""Phases of an OPTIMADE server (Sci. Data 8, 217 (2021), doi:10.1038/s41597-021-00974-z).

OPTIMADE defines structures, not energies: the structures are relaxed at the level of the study, or the user names
a property of the provider that holds an energy in eV/atom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from pymatgen.core import Composition, Element, Structure
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ionscape.errors import InputError
from ionscape.phases.competing import CompetingPhases, phases_from_rows, row_of
from ionscape.structures.exchange import check_structure

#: Seconds to wait for a connection, and for an answer.
TIMEOUT = (10.0, 60.0)
#: Structures asked for at once; servers that give fewer are asked again without a wish.
PAGE = 100
#: HTTP answers of servers that do not know a filter (400, 501) or give no such large page (403).
UNSUPPORTED = (400, 403, 501)
#: Other HTTP answers after which another try may succeed.
PASSING = (429, 502, 503, 504)
FIELDS = (
    "chemical_formula_reduced",
    "dimension_types",
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "structure_features",
)
#: Features of structures that cannot be calculated as they are.
UNUSABLE = ("disorder", "implicit_atoms", "site_attachments", "assemblies")


@dataclass(frozen=True)
class OptimadeServer:
    """An OPTIMADE server: its base URL, and the property that holds an energy in eV/atom (empty: none)."""

    url: str
    energy: str = ""

    @classmethod
    def of(cls, text: str) -> OptimadeServer:
        """Return the server in ``URL`` or ``URL#energy=PROPERTY``.

        Raises
        ------
        InputError
            If the text is neither.
        """
        url, _, fragment = text.partition("#")
        key, _, energy = fragment.partition("=")
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.netloc
            or (fragment and not (key == "energy" and energy))
        ):
            raise InputError(
                f"'{text}' is no OPTIMADE server",
                where="source of phases",
                expected="optimade:URL or optimade:URL#energy=PROPERTY, the URL starting with http:// or https://",
                remedy="Give the base URL of the provider, e.g. one of the list at optimade.org.",
            )
        return cls(url.rstrip("/"), unquote(energy))

    @property
    def structures_url(self) -> str:
        """Where the server lists structures; the base URL may name the version of the protocol or not."""
        version = "" if re.search(r"/v\d[\d.]*$", self.url) else "/v1"
        return f"{self.url}{version}/structures"


@dataclass(frozen=True)
class OptimadeRecords:
    """Structures of a server as it wrote them, by formula and identifier.

    Attributes
    ----------
    provider
        Prefix of the provider's own properties, its host if it names none.
    records
        Attributes of every structure.
    """

    provider: str
    records: Mapping[str, Mapping[str, Any]]


def optimade_records(server: OptimadeServer, elements: Iterable[str]) -> OptimadeRecords:
    """Return all structures of `server` that consist of `elements`.

    Raises
    ------
    InputError
        If the server cannot be reached, refuses, answers something else, or has no such structure.
    """
    system = sorted(set(elements))
    provider, records = urlsplit(server.url).netloc, dict[str, Mapping[str, Any]]()
    for page in _pages(server, system):
        provider = page.get("meta", {}).get("provider", {}).get("prefix") or provider
        for record in page["data"]:
            attributes = record.get("attributes") or {}
            formula = str(attributes.get("chemical_formula_reduced"))
            if set(re.findall(r"[A-Z][a-z]?", formula)) <= set(system):
                records[f"{formula} ({record.get('id')})"] = attributes
    if not records:
        raise InputError(
            f"no structure that consists of {', '.join(system)}",
            where=server.structures_url,
            expected="structures of the chemical system",
            remedy="Check that the URL is that of a database, not of an index, or take another source.",
        )
    return OptimadeRecords(provider, records)


def _filters(system: Sequence[str]) -> list[dict[str, Any]]:
    """Return the queries to try in turn: HAS ONLY is optional in OPTIMADE, NOT and HAS ANY are not."""
    others = [element.symbol for element in Element if element.symbol not in {*system, "D", "T"}]
    only, no_other = f"elements HAS ONLY {_listed(system)}", f"NOT (elements HAS ANY {_listed(others)})"
    large = {"page_limit": PAGE}
    return [{"filter": only, **large}, {"filter": no_other, **large}, {"filter": no_other}]


def _listed(symbols: Iterable[str]) -> str:
    return ",".join(f'"{symbol}"' for symbol in symbols)


def _pages(server: OptimadeServer, system: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    session = requests.Session()
    session.headers["Accept"] = "application/vnd.api+json, application/json"
    retries = Retry(total=3, connect=0, backoff_factor=0.5, status_forcelist=PASSING, raise_on_status=False)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    fields = ",".join([*FIELDS, *([server.energy.partition(".")[0]] if server.energy else [])])
    with session:
        for query in _filters(system):
            answer = _answer(session, server.structures_url, {**query, "response_fields": fields})
            if answer.status_code not in UNSUPPORTED:
                break
        page = _page(answer)
        yield page
        asked = {answer.url}
        while (following := _next(page, answer.url)) and following not in asked:
            asked.add(following)
            page = _page(_answer(session, following, {}))
            yield page


def _answer(session: requests.Session, url: str, parameters: Mapping[str, Any]) -> requests.Response:
    try:
        return session.get(url, params=dict(parameters), timeout=TIMEOUT)
    except requests.RequestException as error:
        raise _refused(url, f"no answer ({type(error).__name__})", "Check the URL and the network.") from None


def _refused(url: str, found: str, remedy: str) -> InputError:
    return InputError(
        found,
        where=url,
        expected="an OPTIMADE server that answers",
        remedy=f"{remedy} The packaged phases need no network.",
    )


def _page(answer: requests.Response) -> Mapping[str, Any]:
    """Return the JSON of an answer whose ``data`` is a list of structures."""
    url = answer.url.partition("?")[0]
    try:
        page = answer.json()
    except ValueError:
        page = None
    if not answer.ok:
        told = page.get("errors") if isinstance(page, dict) else None
        detail = f": {told[0].get('detail')}" if told and isinstance(told[0], dict) else ""
        raise _refused(url, f"HTTP status {answer.status_code}{detail}", "Check the URL, or try again later.")
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise _refused(url, "an answer that is no OPTIMADE JSON", "Give the base URL of an OPTIMADE provider.")
    return page


def _next(page: Mapping[str, Any], url: str) -> str | None:
    link = (page.get("links") or {}).get("next")
    link = link.get("href") if isinstance(link, dict) else link
    return urljoin(url, link) if link else None


def structure_of(attributes: Mapping[str, Any], name: str) -> Structure:
    """Return the structure that an OPTIMADE server describes by `attributes`.

    Raises
    ------
    InputError
        If it is disordered, incomplete or not periodic in three directions, or atoms overlap.
    """
    features = [f for f in attributes.get("structure_features") or [] if f in UNUSABLE]
    periodic = attributes.get("dimension_types") or [1, 1, 1]
    if features or periodic != [1, 1, 1]:
        raise _unusable(name, ", ".join(features) or "not periodic in three directions")
    symbols = {species["name"]: _symbol(species, name) for species in attributes.get("species") or []}
    try:
        structure = Structure(
            attributes["lattice_vectors"],
            [symbols[each] for each in attributes["species_at_sites"]],
            attributes["cartesian_site_positions"],
            coords_are_cartesian=True,
        )
    except (KeyError, TypeError, ValueError):
        raise _unusable(name, "no complete cell, positions and species") from None
    check_structure(structure, where=name)
    return structure


def _symbol(species: Mapping[str, Any], name: str) -> str:
    symbols, shares = species["chemical_symbols"], species["concentration"]
    if len(symbols) != 1 or abs(shares[0] - 1) > 1e-6 or not Element.is_valid_symbol(symbols[0]):
        raise _unusable(name, f"partial occupancy ({', '.join(symbols)})")
    return str(symbols[0])


def _unusable(name: str, found: str) -> InputError:
    return InputError(
        found, where=name, expected="an ordered crystal", remedy="It takes no part among the competing phases."
    )


def structures_from(records: OptimadeRecords) -> tuple[dict[str, Structure], dict[str, str]]:
    """Return the structures in `records` by name, and those that cannot be used with their reasons."""
    structures, excluded = dict[str, Structure](), dict[str, str]()
    for name, attributes in records.records.items():
        try:
            structures[name] = structure_of(attributes, name)
        except InputError as error:
            excluded[name] = error.found
    return structures, excluded


def phases_with_energies(
    records: OptimadeRecords, elements: Iterable[str], server: OptimadeServer
) -> CompetingPhases:
    """Return the phases with the energies (eV/atom) in the property ``server.energy`` of the provider.

    Raises
    ------
    InputError
        If no structure has a number there.
    """
    rows, excluded = [], {}
    for name, attributes in records.records.items():
        energy = _property(attributes, server.energy)
        if energy is None:
            excluded[name] = f"no number in {server.energy}"
        elif "disorder" in (attributes.get("structure_features") or []):
            excluded[name] = "disorder"
        else:
            rows.append(row_of(Composition(attributes["chemical_formula_reduced"]), energy))
    if not rows:
        raise InputError(
            f"none of {len(records.records)} structures has a number in '{server.energy}'",
            where=server.structures_url,
            expected="the name of a property that holds an energy in eV/atom",
            remedy="Look the properties up at the server's /info/structures, or leave #energy= out to have the "
            "structures relaxed at the level.",
        )
    scheme = f"{records.provider}:{server.energy}"
    return phases_from_rows(rows, elements, level=scheme, scheme=scheme, references={}, excluded=excluded)


def _property(attributes: Mapping[str, Any], path: str) -> float | None:
    value: Any = attributes
    for key in path.split(".") if path not in attributes else [path]:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
