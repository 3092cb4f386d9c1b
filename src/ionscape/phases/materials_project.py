"""Entries of the Materials Project through its own client, ``mp-api`` (an optional extra).

The client finds the user's key in its own configuration. Taken are the entries of thermo type GGA_GGA+U: GGA and
GGA+U with MP2020 corrections, on one scale by themselves.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterable
from typing import Any

import requests

from ionscape.errors import InputError
from ionscape.phases.entries import EntrySource
from ionscape.phases.scheme import MP2020_SCALE

#: The Materials Project's own scheme of mixing GGA and GGA+U; the default of the client mixes in r2SCAN, too.
CRITERIA = {"thermo_types": ["GGA_GGA+U"]}
WHERE = "Materials Project"
#: What the client says where the server, or the client itself, does not take the key.
#: Environment variables that hold a key.
KEYS = ("MP_API_KEY", "PMG_MAPI_KEY")
KEY_REFUSED = ("status code 401", "status code 403", "valid API key")


def materials_project_entries(elements: Iterable[str]) -> EntrySource:
    """Return the entries of all chemical systems within `elements`, with the corrections of the project.

    Raises
    ------
    InputError
        If ``mp-api`` is not installed, has no key or a wrong one, cannot reach the project, or finds nothing.
    """
    system = sorted(set(elements))
    client, client_error = _client()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client's about its versions
            with client(mute_progress_bars=True) as rester:
                if not rester.api_key:
                    raise _no_key()
                entries = rester.get_entries_in_chemsys(system, additional_criteria=CRITERIA)
    except requests.RequestException as error:
        raise _unreachable(type(error).__name__) from None
    except client_error as error:
        raise _refused(str(error)) from None
    except ValueError as error:  # an answer that is no JSON, or a key of a wrong form
        raise _refused(str(error)) from None
    if not entries:
        raise InputError(
            f"no entries of {'-'.join(system)}",
            where=WHERE,
            expected="entries of the chemical system",
            remedy="Check the elements, or take another source of phases.",
        )
    ordered = tuple(sorted(entries, key=lambda entry: str(entry.entry_id)))
    return EntrySource(ordered, scheme=MP2020_SCALE)


def _client() -> tuple[Any, type[Exception]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = importlib.import_module("mp_api.client").MPRester
            return client, importlib.import_module("mp_api.client.core.exceptions").MPRestError
    except ImportError as error:
        raise InputError(
            f"mp-api is not usable here ({error})",
            where=WHERE,
            expected="the client of the Materials Project",
            remedy="Install it: `pip install 'ionscape[mp]'`.",
        ) from None


def _no_key() -> InputError:
    return InputError(
        "no API key",
        where=WHERE,
        expected="a key in the configuration of mp-api",
        remedy="Set the environment variable MP_API_KEY, or run `pmg config --add PMG_MAPI_KEY YOUR_KEY`; the "
        "key is on your page of the Materials Project.",
    )


def _unreachable(reason: str) -> InputError:
    return InputError(
        f"no answer ({reason})",
        where=WHERE,
        expected="a server that answers",
        remedy="Check the network (and MP_API_ENDPOINT, if set). The packaged phases need no network.",
    )


def _refused(reason: str) -> InputError:
    told = " ".join(reason.split())
    for name in KEYS:  # servers repeat what they were asked with
        if os.environ.get(name):
            told = told.replace(os.environ[name], f"({name})")
    if any(sign in told for sign in KEY_REFUSED):
        return InputError(
            "the API key is refused",
            where=WHERE,
            expected="a valid key in the configuration of mp-api",
            remedy="Check MP_API_KEY, or PMG_MAPI_KEY in the configuration of pymatgen, against the key on your "
            "page of the Materials Project.",
        )
    return InputError(
        f"the query failed ({told[:200]})",
        where=WHERE,
        expected="entries of the chemical system",
        remedy="Try again later, with fewer elements, or with a newer mp-api.",
    )
