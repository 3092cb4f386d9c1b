"""The corpus: families of inputs, what goes wrong with each, and the commands that read them."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import wellformed as good
from mutations import (
    FLOAT,
    NUMBER,
    Maker,
    Mutation,
    bomb,
    broken,
    dressed,
    garbled,
    holding,
    making,
    replaced,
    without_lines,
)
from running import Case

EMT = ("--level", "ase.calculators.emt:EMT")
#: Commands that read a crystal structure, `{}` in place of the file.
ON_STRUCTURES = (
    ("voids", "{}", "--method", "geometric"),
    ("relax", "{}", *EMT, "--fmax-eV-per-A", "1", "--smax-eV-per-A3", "0.1"),
    ("match", "{}", "{}", "--film-miller", "0,0,1", "--substrate-miller", "0,0,1"),
)
#: Commands that refuse a broken structure, and would be dear with a good one.
REFUSING = (
    ("dope", "{}", "--supercell", "1,1,1"),
    ("hull", "{}"),
    ("contact", "--cathode", "{}", "--phase", "Li2O"),
    ("window", "{}"),
    ("interface", "{}", "phase:Li2O", "--film-miller", "0,0,1", "--substrate-miller", "0,0,1", *EMT),
    ("md", "{}", *EMT, "--time-ps", "0.01"),
    ("neb", "{}", "{}", *EMT),
    ("surfaces", "{}", *EMT, "--no-relax", "--max-index", "1"),
)
ON_FRAMES = (
    ("evaluate", "{}", *EMT),
    ("calibrate", "{}", *EMT),
    ("train", "{}", "--out", "model", "--inducing", "10", "--n-max", "2", "--l-max", "2", "--cutoff-A", "4"),
)
ON_RUNS = (("transport", "{}", "--temperature-K", "600", "--frame-interval-fs", "10"),)


@dataclass(frozen=True)
class Family:
    """A kind of input: the name of its file, its well-formed content, the commands, and what goes wrong."""

    name: str
    file: str
    content: bytes
    commands: tuple[tuple[str, ...], ...]
    mutations: tuple[Mutation, ...]
    refusing: tuple[tuple[str, ...], ...] = ()
    told: bool = False
    beside: dict[str, Maker] = field(default_factory=dict)

    def cases(self) -> Iterator[Case]:
        """Yield the cases: every mutation by one command after the other in turn."""
        every = self.commands + self.refusing
        for mutation, command in zip(self.mutations, itertools.cycle(every), strict=False):
            chosen = self.commands[0] if mutation.harmless and command in self.refusing else command
            yield self.case(mutation, chosen)
        worst = [one for one in self.mutations if one.name in {"empty", "noise", "a folder"}]
        yield from (self.case(m, c) for m, c in itertools.product(worst, every[1:]))

    def case(self, mutation: Mutation, command: tuple[str, ...]) -> Case:
        """Return the case of a mutation with a command."""
        arguments = tuple(self.file if part == "{}" else part for part in command)
        arguments = tuple(part.replace("{}", self.file) for part in arguments)
        return Case(
            self.name,
            mutation.name,
            (*arguments, "--json"),
            self.file,
            mutation.make,
            mutation.harmless,
            self.told,
            self.beside,
        )

    def clean(self) -> Iterator[Case]:
        """Yield every command on the well-formed file."""
        for command in self.commands:
            yield self.case(Mutation("well-formed", holding(self.content)), command)


def text(content: bytes, *more: Iterable[Mutation]) -> tuple[Mutation, ...]:
    """Return what goes wrong with a text file."""
    return (*broken(content), *dressed(content), *garbled(content), *itertools.chain(*more))


def binary(content: bytes, *more: Iterable[Mutation], sealed: bool = False) -> tuple[Mutation, ...]:
    """Return what goes wrong with a binary file; a flipped bit is found in those that are sealed by checksums."""
    half = Mutation("its first half", holding(content[: len(content) // 2]))
    flips = [
        Mutation(f"a bit flipped at {part}/8", holding(_flipped(content, len(content) * part // 8)), harmless=True)
        for part in range(1, 8 if sealed else 1)
    ]
    return (*broken(content), half, *flips, *itertools.chain(*more))


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def structures() -> Iterator[Family]:
    """Yield the formats of crystal structures."""
    cif, poscar = good.cif(), good.poscar()
    line = cif.splitlines(keepends=True)
    a = next(one for one in line if one.startswith(b"_cell_length_a"))
    site = next(one for one in line if b"Cu0" in one)
    yield _structure(
        "CIF",
        "x.cif",
        cif,
        text(
            cif,
            replaced(
                cif,
                ("zero length", a, b"_cell_length_a 0.0\n"),
                ("negative length", a, b"_cell_length_a -5.2\n"),
                ("length of a light year", a, b"_cell_length_a 9e25\n"),
                ("length missing", a, b""),
                ("length twice", a, a + b"_cell_length_a 7.0\n"),
                ("flat cell", b"_cell_angle_gamma", b"_cell_angle_gamma 180.0\n_x"),
                ("unknown element", site, site.replace(b"Cu ", b"Qq ")),
                ("dummy element", site, site.replace(b"Cu ", b"X ")),
                ("overlapping atoms", site, site + site.replace(b"Cu0", b"Cu9")),
                ("occupancy of two", site, site.rstrip()[:-1] + b"2\n"),
                ("occupancy of nothing", site, site.rstrip()[:-1] + b"0\n"),
                ("negative occupancy", site, site.rstrip()[:-1] + b"-1\n"),
                ("a value missing", site, site.rstrip()[:-1] + b"\n"),
                ("unknown coordinate", site, site.replace(b"0.", b"? 0.", 1)),
                ("no loop", b"loop_\n _atom_site", b"_atom_site"),
                ("another space group", b"'x, y, z'", b"'x, y, z, w'"),
                ("operation that runs code", b"'x, y, z'", b"'__import__(\"os\").abort(), y, z'"),
                ("no data", b"data_", b"date_"),
                ("endless quote", b"'x, y, z'", b"'x, y, z"),
            ),
            [Mutation("atoms left out", holding(cif[: cif.index(b"Cu0")]))],
            [Mutation("a million operations", making(lambda: _many_operations(cif)))],
        ),
    )
    rows = poscar.splitlines(keepends=True)
    yield _structure(
        "POSCAR",
        "POSCAR",
        poscar,
        text(
            poscar,
            replaced(
                poscar,
                ("counts of a planet", b"3 1\n", b"999999999999 1\n"),
                ("counts of a grain", b"3 1\n", b"40000000 1\n"),
                ("too many atoms told", b"3 1\n", b"4 1\n"),
                ("too few counts", b"3 1\n", b"4\n"),
                ("too many counts", b"3 1\n", b"2 1 1\n"),
                ("negative count", b"3 1\n", b"5 -1\n"),
                ("no atoms", b"3 1\n", b"0 0\n"),
                ("count of halves", b"3 1\n", b"3.5 0.5\n"),
                ("unknown element", b"Cu Au", b"Qq Au"),
                ("scale of nothing", b"\n1.0\n", b"\n0.0\n"),
                ("scale that is no number", b"\n1.0\n", b"\none\n"),
                ("tiny scale", b"\n1.0\n", b"\n1e-9\n"),
                ("huge scale", b"\n1.0\n", b"\n1e9\n"),
                ("linear cell", rows[3], rows[2]),
                ("cell of zeros", rows[2], b"0 0 0\n"),
                ("short row", rows[2], b"5.2 0.3\n"),
                ("overlapping atoms", rows[9], rows[8]),
            ),
            without_lines(poscar, 1, 2, 6, 8),
        ),
    )
    for name, file, content, bad in (
        ("extended XYZ", "x.extxyz", good.extxyz(), _bad_extxyz),
        ("pymatgen JSON", "x.json", good.structure_json(), _bad_structure_json),
    ):
        yield _structure(name, file, content, text(content, bad(content)))
    yield _structure("ASE trajectory", "x.traj", good.traj(), binary(good.traj()))


def _structure(name: str, file: str, content: bytes, mutations: tuple[Mutation, ...]) -> Family:
    return Family(name, file, content, ON_STRUCTURES, mutations, REFUSING)


def _many_operations(cif: bytes) -> bytes:
    return cif.replace(b"1  'x, y, z'\n", b"".join(b"%d 'x+1/%d, y, z'\n" % (k, k + 1) for k in range(300_000)))


def _bad_extxyz(content: bytes) -> Iterator[Mutation]:
    yield from replaced(
        content,
        ("huge count", b"4\n", b"999999999999\n"),
        ("negative count", b"4\n", b"-4\n"),
        ("one atom too many told", b"4\n", b"5\n"),
        ("no atoms", b"4\n", b"0\n"),
        ("no cell", b"Lattice=", b"Lettuce="),
        ("not periodic", b'pbc="T T T"', b'pbc="T T F"'),
        ("unknown element", b"Cu ", b"Qq "),
        ("no element", b"Cu ", b"X "),
        ("unknown columns", b"Properties=species", b"Properties=spices"),
        ("absurd columns", b"pos:R:3", b"pos:R:99999999"),
        ("text columns", b"pos:R:3", b"pos:S:3"),
        ("endless quote", b'" Properties', b" Properties"),
        ("flat cell", good.extxyz().split(b'"')[1], b"5 0 0 0 4 0 5 4 0"),
        ("cell of eight", good.extxyz().split(b'"')[1], b"5 0 0 0 4 0 5 4"),
        ("cell of words", good.extxyz().split(b'"')[1], b"5 0 0 0 4 0 5 4 x"),
    )


def _bad_structure_json(content: bytes) -> Iterator[Mutation]:
    data = json.loads(content)
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "no lattice": lambda d: d.pop("lattice"),
        "no sites": lambda d: d.update(sites=[]),
        "sites that are none": lambda d: d.update(sites=7),
        "code of others": lambda d: d["sites"][0].update(
            properties={"x": {"@module": "os", "@class": "system", "@callable": "system"}}
        ),
        "code beside the file": lambda d: d["sites"][0].update(
            properties={"x": {"@module": "evil", "@class": "Evil", "command": "x"}}
        ),
        "partial occupancy": lambda d: d["sites"][0]["species"][0].update(occu=0.5),
        "unknown element": lambda d: d["sites"][0]["species"][0].update(element="Qq"),
        "matrix of words": lambda d: d["lattice"].update(matrix=[["a"] * 3] * 3),
        "matrix of two": lambda d: d["lattice"].update(matrix=[[1, 0], [0, 1]]),
        "site of two coordinates": lambda d: d["sites"][0].update(abc=[0.0, 0.1]),
        "nulls": lambda d: d["sites"][0].update(abc=[None, None, None]),
    }
    for name, change in changes.items():
        changed = json.loads(content)
        change(changed)
        yield Mutation(name, holding(json.dumps(changed).encode()))
    yield Mutation("a list", holding(json.dumps([data]).encode()))
    yield Mutation("a number", holding(b"7"))
    yield Mutation("a key twice", holding(b'{"lattice": {}, ' + content[1:]))
    yield Mutation("null", holding(b"null"))


def frames() -> Iterator[Family]:
    """Yield labelled frames."""
    content = good.frames_extxyz()
    lattice = content.split(b'"')[1]
    yield Family(
        "labelled extended XYZ",
        "f.extxyz",
        content,
        ON_FRAMES,
        text(
            content,
            replaced(
                content,
                ("huge count", b"4\n", b"999999999999\n"),
                ("no atoms", b"4\n", b"0\n"),
                ("negative count", b"4\n", b"-4\n"),
                ("energy that is none", b"energy=", b"energy=nan x="),
                ("energy in words", b"energy=", b"energy=low x="),
                ("energy of the sun", b"energy=", b"energy=1e300 x="),
                ("flat cell", lattice, b"5 0 0 0 4 0 5 4 0"),
                ("unknown element", b"Cu ", b"Qq "),
                ("no element", b"Cu ", b"X "),
                ("element that the level lacks", b"Cu ", b"U "),
                ("short cell", lattice, b"5 0 0"),
            ),
            replaced(content, ("forces told as text", b"forces:R:3", b"forces:S:3"), harmless=True),
            [
                Mutation("half a frame at the end", holding(content[: len(content) * 7 // 8])),
                Mutation("a bomb", bomb(2048, b"4\n")),
            ],
        ),
    )
    yield Family("labelled ASE trajectory", "f.traj", good.frames_traj(), ON_FRAMES, binary(good.frames_traj()))


def runs() -> Iterator[Family]:
    """Yield runs of molecular dynamics."""
    xyz, xdatcar, dump, xml = good.run_extxyz(), good.run_xdatcar(), good.run_dump(), good.run_vasprun()
    names = b"".join(xdatcar.splitlines(keepends=True)[4:6])  # the first line, a comment, has them too
    yield _run("run, extended XYZ", "r.extxyz", xyz, _bad_run(xyz, b"8\n"))
    yield _run(
        "run, XDATCAR",
        "XDATCAR",
        xdatcar,
        itertools.chain(
            replaced(
                xdatcar,
                ("counts of a planet", b" 4 4\n" if b" 4 4\n" in xdatcar else b"4", b" 999999999999 4\n"),
                ("scale of nothing", xdatcar.splitlines()[1], b" 0.0"),
                ("scale that is no number", xdatcar.splitlines()[1], b" one"),
                ("unknown element", names, names.replace(b"Li", b"Qq")),
                ("no mobile ion", names, names.replace(b"Li", b"Na")),
            ),
            without_lines(xdatcar, 2, 6),
        ),
    )
    yield _run(
        "run, LAMMPS dump",
        "r.lammpstrj",
        dump,
        itertools.chain(
            _bad_run(dump, b"8\n"),
            replaced(
                dump,
                ("steps backwards", b"TIMESTEP\n20\n", b"TIMESTEP\n5\n"),
                ("step that is no number", b"TIMESTEP\n20\n", b"TIMESTEP\ntwenty\n"),
                ("box inside out", b"0.0 6.3 0.3", b"6.3 0.0 0.3"),
                ("box of words", b"0.0 6.3 0.3", b"zero 6.3 0.3"),
                ("box without tilt", b"0.0 6.3 0.3", b"0.0 6.3"),
                ("no coordinates", b"xs ys zs", b"vx vy vz"),
                ("columns that change", b"id element xs ys zs", b"element id xs ys zs"),
                ("an atom twice", b"\n2 Li", b"\n1 Li"),
                ("atom that changes", b"\n5 O", b"\n5 S"),
            ),
        ),
    )
    yield _run(
        "run, vasprun.xml",
        "vasprun.xml",
        xml,
        replaced(
            xml,
            ("no atoms", b'name="atoms"', b'name="atomz"'),
            ("unknown element", b"<c>Li", b"<c>Qq"),
            ("a relaxation", b'"IBRION"> 0', b'"IBRION"> 2'),
            ("rows missing", b'positions">\n<v>', b'positions">\n<w>'),
            ("billions of laughs", b"<modeling>", _laughs()),
            (
                "a file drawn in",
                b"<modeling>",
                b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><modeling>&b;',
            ),
        ),
    )
    recorded = good.run_recorded()
    yield Family("run, our own", "run.mdt", recorded, ON_RUNS, binary(recorded, sealed=True), told=True)
    for name, file, content in (
        ("run, ASE trajectory", "r.traj", good.run_traj()),
        ("run, H5MD", "r.h5", good.run_h5md()),
    ):
        yield Family(name, file, content, ON_RUNS, binary(content), told=True)


def _run(name: str, file: str, content: bytes, more: Iterable[Mutation]) -> Family:
    bombs = [
        Mutation("a bomb of zeros", bomb(2048)),
        Mutation("a bomb of its beginning", bomb(2048, head=content[:200])),
        Mutation("compressed and cut", holding(gzip.compress(content)[:300])),
    ]
    mutations = text(content, more, bombs)
    if file.endswith(".xml"):  # much of it is not read: refused, or not missed
        mutations = tuple(one._replace(harmless=True) for one in mutations)
    return Family(name, file, content, ON_RUNS, mutations, told=True)


def _bad_run(content: bytes, count: bytes) -> Iterator[Mutation]:
    yield from replaced(
        content,
        ("huge count", count, b"999999999999\n"),
        ("count of billions", count, b"2000000000\n"),
        ("count beyond 64 bits", count, b"99999999999999999999999\n"),
        ("negative count", count, b"-8\n"),
        ("no atoms", count, b"0\n"),
        ("one atom too few told", count, b"7\n"),
        ("unknown element", b"Li ", b"Qq "),
    )


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{k + 1} "{f"&l{k};" * 10}">' for k in range(10))
    return f'<!DOCTYPE m [<!ENTITY l0 "ha">{entities}]><modeling><i name="x">&l10;</i>'.encode()


def densities() -> Iterator[Family]:
    """Yield charge densities and electronic structures."""
    cube, chgcar, states = good.cube(), good.chgcar(), good.states_vasprun()
    lines = cube.splitlines(keepends=True)
    yield Family(
        "cube",
        "x.cube",
        cube,
        (("voids", "h.extxyz", "--density", "{}"),),
        text(
            cube,
            replaced(
                cube,
                ("huge grid", lines[3][:5], b"999999999"),
                ("grid of nothing", lines[3][:5], b"    0"),
                ("negative grid", lines[3][:5], b"   -6"),
                ("huge number of atoms", lines[2][:5], b"99999999999"),
                ("negative number of atoms", lines[2][:5], b"   -4"),
            ),
            [Mutation("values missing", holding(b"".join(lines[:-3])))],
            [Mutation("values too many", holding(cube + b"1.0 2.0\n"))],
        ),
        beside={"h.extxyz": holding(good.crystal_of_cube())},
    )
    yield Family(
        "CHGCAR",
        "CHGCAR",
        chgcar,
        (("voids", "h.vasp", "--density", "{}"), ("electronic", "{}", "CHGCAR_A", "CHGCAR_B")),
        text(
            chgcar,
            replaced(
                chgcar,
                ("huge grid", b" 6 5 4\n", b" 99999 99999 99999\n"),
                ("grid of nothing", b" 6 5 4\n", b" 0 5 4\n"),
                ("negative grid", b" 6 5 4\n", b" -6 5 4\n"),
                ("larger grid", b" 6 5 4\n", b" 6 5 5\n"),
                ("smaller grid", b" 6 5 4\n", b" 6 5 3\n"),
                ("counts of a planet", b"3 1\n", b"999999999999 1\n"),
            ),
            [Mutation("values missing", holding(chgcar[:-200]))],
        ),
        beside={
            "h.vasp": holding(good.poscar()),
            "CHGCAR_A": holding(good.chgcar(0, 3)),
            "CHGCAR_B": holding(good.chgcar(3, 4)),
        },
    )
    yield Family(
        "vasprun.xml with states",
        "s.xml",
        states,
        (("electronic", "{}"),),
        (
            *(one._replace(harmless=True) for one in broken(states)),  # XML tells its own encoding
            *garbled(states),
            *replaced(
                states,
                ("no states", b"<partial>", b"<impartial>"),
                ("no atoms", b'name="atoms"', b'name="atomz"'),
                ("unknown element", b"<c>Li", b"<c>Qq"),
                ("billions of laughs", b"<modeling>", _laughs()),
                (
                    "a file drawn in",
                    b"<modeling>",
                    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><modeling>&b;',
                ),
            ),
            Mutation("its first half", holding(states[: len(states) // 2])),
            Mutation("without its end", holding(states[:-20])),
        ),
    )


def records() -> Iterator[Family]:
    """Yield results of runs, entries of phases and model files."""
    runs_, entries = good.runs_json(), good.entries_json()
    yield Family(
        "results of transport",
        "t.json",
        runs_,
        (("arrhenius", "{}"),),
        (*broken(runs_), *dressed(runs_), *_numbers(runs_, NUMBER), *_changed_runs(runs_)),
        told=True,
    )
    yield Family(
        "entries",
        "e.json",
        entries,
        (
            ("hull", "Li2O", "--phases", "{}"),
            ("window", "Li2O", "--phases", "{}"),
            ("contact", "--cathode", "Li2O2", "--phase", "Li2O", "--phases", "{}"),
        ),
        text(entries, _changed_entries(entries)),
    )
    yield Family(
        "compressed entries",
        "e.json.gz",
        gzip.compress(entries),
        (("hull", "Li2O", "--phases", "{}"),),
        (
            *broken(gzip.compress(entries)),
            Mutation("a bomb", bomb(4096)),
            Mutation("a bomb of brackets", bomb(1024, b"[")),
            Mutation("cut", holding(gzip.compress(entries)[:-20])),
        ),
    )
    model = good.cached(good.model_file)
    yield Family(
        "model",
        "m.sgp",
        model,
        (("evaluate", "f.extxyz", "--level", "sgpr:{}"), ("export", "{}", "--to", "lammps")),
        binary(model, _changed_models(model), sealed=True),
        refusing=(("relax", "h.cif", "--level", "sgpr:{}"), ("md", "h.cif", "--level", "sgpr:{}")),
        beside={"f.extxyz": holding(good.extxyz()), "h.cif": holding(good.cif())},
    )


def _changed_runs(content: bytes) -> Iterator[Mutation]:
    bad: dict[str, Any] = {
        "temperature_K": [-600, 0, "hot", None, True, [600], 1e9],
        "D_cm2_per_s": [{"value": -1, "low95": 1, "high95": 2}, {"value": 1}, 7, None, "fast", []],
        "run_time_ps": ["long", None, -1, [1]],
        "n_ions": ["many", None, -3, 1e400],
        "group_size": ["x", None, -1],
        "D_tensor_cm2_per_s": ["x", [1, 2], [[1, 2], [3, 4]], {"a": 1}],
        "diffusive_from_ps": ["x", None],
        "squared_charge_density_e2_per_A3": ["x"],
    }
    for key, values in bad.items():
        for value in values:
            rows = json.loads(content)
            rows[1][key] = value
            yield Mutation(f"{key} is {value!r}", holding(json.dumps(rows).encode()))
    swapped = json.loads(content)
    swapped[1]["D_cm2_per_s"] |= {"low95": 1.0, "high95": 1e-30}
    yield Mutation("interval inside out", holding(json.dumps(swapped).encode()))
    yield Mutation("a key twice", holding(content.replace(b'"n_ions"', b'"temperature_K": 5, "n_ions"', 1)))
    yield Mutation("no runs", holding(b"[]"))
    yield Mutation("one run", holding(json.dumps(json.loads(content)[:1]).encode()))
    yield Mutation("runs of one temperature", holding(json.dumps(json.loads(content)[:1] * 3).encode()))


def _changed_entries(content: bytes) -> Iterator[Mutation]:
    changes: dict[str, Callable[[list[Any]], Any]] = {
        "energy in words": lambda rows: rows[1].update(energy="low"),
        "energy missing": lambda rows: rows[1].pop("energy"),
        "energy of the sun": lambda rows: rows[1].update(energy=-1e300),
        "no energy": lambda rows: rows[1].update(energy=None),
        "no composition": lambda rows: rows[1].update(composition={}),
        "negative composition": lambda rows: rows[1].update(composition={"Li": -2, "O": 1}),
        "unknown element": lambda rows: rows[1].update(composition={"Qq": 1}),
        "unknown class": lambda rows: rows[1].update({"@class": "Popen", "@module": "subprocess"}),
        "no class": lambda rows: rows[1].pop("@class"),
        "code in its data": lambda rows: rows[1].update(data={"x": {"@module": "evil", "@class": "Evil"}}),
        "call in its data": lambda rows: rows[1].update(data={"x": {"@module": "os", "@callable": "abort"}}),
        "code in its parameters": lambda rows: rows[1].update(
            parameters={"x": {"@module": "evil", "@class": "Evil"}}
        ),
        "correction in words": lambda rows: rows[1].update(correction="x"),
        "a null": lambda rows: rows.append(None),
        "a list": lambda rows: rows.append([1, 2]),
        "no element": lambda rows: rows.pop(0),
    }
    for name, change in changes.items():
        rows = json.loads(content)
        change(rows)
        yield Mutation(name, holding(json.dumps(rows).encode()))
    yield Mutation("no entries", holding(b"[]"))
    yield Mutation("a key twice", holding(content.replace(b'"energy"', b'"energy": 1.0, "energy"', 1)))
    yield Mutation("no number", holding(content.replace(b"-14.3", b"NaN")))


def _changed_models(content: bytes) -> Iterator[Mutation]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = next(name for name in members if not name.endswith(".npy"))
    header = json.loads(members[head])
    changes: dict[str, dict[str, Any]] = {
        "another format": {"format": "pickle"},
        "a version to come": {"version": 99},
        "a version in words": {"version": "one"},
        "no species": {"species": []},
        "species that are none": {"species": ["Qq", "Au"]},
        "species of numbers": {"species": [1, 2]},
        "no hashes": {"sha256": {}},
        "hashes that are none": {"sha256": 7},
        "descriptor of words": {"descriptor": {"cutoff_A": "far"}},
        "huge descriptor": {"descriptor": {**header["descriptor"], "n_max": 10**9}},
        "no noise": {"noise": {}},
        "rank of words": {"rank": "x"},
        "no provenance": {"provenance": {}},
    }
    for name, change in changes.items():
        yield Mutation(name, holding(_zipped({**members, head: json.dumps({**header, **change}).encode()})))
    yield Mutation("no header", holding(_zipped({k: v for k, v in members.items() if k != head})))
    yield Mutation("a header of brackets", holding(_zipped({**members, head: b"[" * 200_000})))
    packed = zipfile.ZIP_DEFLATED
    yield Mutation("a header bomb", making(lambda: _zipped({**members, head: b" " * (1 << 30)}, packed)))
    array = next(name for name in members if name.endswith(".npy"))
    yield Mutation("an array bomb", making(lambda: _zipped({**members, array: bytes(1 << 30)}, packed)))
    yield Mutation("a pickled array", holding(_zipped({**members, array: _pickled()})))
    yield Mutation("no arrays", holding(_zipped({head: members[head]})))


def _zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def studies() -> Iterator[Family]:
    """Yield study files."""
    content = good.study()
    changes = (
        ("a table twice", b"[relaxation]", b"[study]\nname='x'\n[relaxation]"),
        ("a key twice", b"seed = 1", b"seed = 1\nseed = 2"),
        ("a table that is a number", b"[relaxation]\nfmax_eV_per_A = 0.05", b""),
        ("seed beyond 64 bits", b"seed = 1", b"seed = 99999999999999999999999999"),
        ("seed of digits", b"seed = 1", b"seed = " + b"9" * 5000),
        ("name that climbs", b'"toy"', b'"../../toy"'),
        ("name of a device", b'"toy"', b'"/dev/null"'),
        ("endless name", b'"toy"', b'"' + b"a" * 5000 + b'"'),
        ("name with a zero byte", b'"toy"', b'"to\\u0000y"'),
        ("host with a zero byte", b'"phase:Li2O"', b'"x\\u0000.cif"'),
        ("host that is a folder", b'"phase:Li2O"', b'"."'),
        ("host out of its folder", b'"phase:Li2O"', b'"../../../etc/passwd"'),
        ("host without a name", b'"phase:Li2O"', b'""'),
        ("host of an endless name", b'"phase:Li2O"', b'"' + b"a" * 5000 + b'.cif"'),
        ("module that is none", b"ase.calculators.emt:EMT", b"no.such:Thing"),
        ("module that fails", b"ase.calculators.emt:EMT", b"failing:Thing"),
        ("module that ends", b"ase.calculators.emt:EMT", b"ending:Thing"),
        ("factory that is none", b"ase.calculators.emt:EMT", b"math:pi"),
        ("factory that makes nothing", b"ase.calculators.emt:EMT", b"builtins:list"),
        ("level without a name", b"ase.calculators.emt:EMT", b""),
        ("settings that are none", b'EMT"', b'EMT"\nsettings = 7'),
        ("settings of dates", b'EMT"', b'EMT"\nsettings = { x = 2020-01-01 }'),
        ("settings of no number", b'EMT"', b'EMT"\nsettings = { x = nan }'),
        ("huge supercell", b"[1, 1, 1]", b"[1000000, 1000000, 1000000]"),
        ("supercell of floats", b"[1, 1, 1]", b"[1.0, 1.0, 1.0]"),
        ("supercell of booleans", b"[1, 1, 1]", b"[true, true, true]"),
        ("billions of samples", b"samples = 20", b"samples = 99999999999"),
        ("keeps nothing", b"keep = 1", b"keep = 0"),
        ("replaces itself", b'{ O = "N" }', b'{ O = "O" }'),
        ("replaces by a number", b'{ O = "N" }', b"{ O = 7 }"),
        ("inserts half an ion", b"{ Li = 1 }", b"{ Li = 0.5 }"),
        ("more dopants than sites", b"counts = [1]", b"counts = [100000]"),
        ("tolerance of nothing", b"= 0.05", b"= 0.0"),
        ("endless tolerance", b"= 0.05", b"= inf"),
        ("nested", b"= 0.05", b"= " + b"[" * 5000 + b"]" * 5000),
        ("deep tables", b"= 0.05", b"= 0.05\n[" + b".".join([b"a"] * 3000) + b"]\nx = 1"),
    )
    runs_ = ("run", "{}", "--out", "out", "--engine", "process")
    failing: dict[str, Maker] = {
        "failing.py": holding(b"raise RuntimeError('on import')\n"),
        "ending.py": holding(b"raise SystemExit(0)\n"),
    }
    mutations = (
        *(one for one in broken(content)),
        *(one for one in garbled(content, NUMBER)),
        *replaced(content, *changes[:2], *changes[3:]),
        Mutation("a large file", making(lambda: content + b"# comment\n" * 3_000_000)),
        Mutation("with Latin letters", holding(content.replace(b'"toy"', b'"t\xf6y"'))),
    )
    yield Family("study", "s.toml", content, (), mutations, refusing=(runs_,), beside=failing)
    cite = (*broken(content), *dressed(content))
    yield Family("study, cited", "s.toml", content, (("cite", "{}"),), cite)


def results() -> Iterator[Family]:
    """Yield what a study folder holds: its results, the state of its run, and its store."""
    files = good.study_folder()
    beside = {name: holding(content) for name, content in files.items()}
    content, run = files["out/results.json"], files["out/run.json"]
    data = json.loads(content)
    parts = {**{f"stage {name}": ("stages", name) for name in data["stages"]}, **{name: (name,) for name in data}}
    mutations = [
        Mutation(f"{what} is {value!r}", holding(json.dumps(_put(data, path, value)).encode()), harmless=True)
        for what, path in parts.items()
        for value in (None, 7, "x", [], [1], {"failed": 3})
    ]
    yield Family(
        "results of a study",
        "out/results.json",
        content,
        (("report", "out"),),
        (*broken(content), *dressed(content), *mutations),
        beside=beside,
    )
    texts = (
        b"[]",
        b"7",
        b'{"stages": [], "store": "store"}',
        b'{"stages": {"host": 7}, "store": "store"}',
        b'{"stages": {"host": {}}, "store": "store"}',
        b'{"stages": {"host": {"state": 7}}, "store": "store"}',
        b'{"stages": {}, "store": 7}',
        b'{"stages": {}, "store": "run.json"}',
        b'{"stages": {}, "store": "\\u0000"}',
    )
    changed = (Mutation(f"it is {one.decode()}", holding(one)) for one in texts)
    yield Family(
        "state of a run", "out/run.json", run, (("status", "out"), ("verify", "out")), (*broken(run), *changed),
        beside=beside,
    )  # fmt: skip
    yield from _store(files, beside)


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {**data, path[0]: _put(data[path[0]], path[1:], value) if len(path) > 1 else value}


def _numbers(content: bytes, which: Any = FLOAT) -> Iterator[Mutation]:
    """Yield numbers that are none; an absurd one may be of no account."""
    return (one._replace(harmless="1e30" in one.name) for one in garbled(content, which))


def _store(files: dict[str, bytes], beside: dict[str, Maker]) -> Iterator[Family]:
    marker = files["out/store/store.json"]
    commands = (
        ("verify", "out"),
        ("status", "out"),
        ("run", "s.toml", "--out", "out", "--stages", "doping", "--engine", "process"),
    )
    mutations = tuple(broken(marker))
    yield Family("marker of a store", "out/store/store.json", marker, commands, mutations, beside=beside)
    for name in ("result.json", "input.json", "manifest.json"):
        path = next(one for one in files if one.endswith(f"/{name}"))
        flips = (
            Mutation(f"a bit flipped at {part}/8", holding(_flipped(files[path], len(files[path]) * part // 8)))
            for part in range(1, 8)
        )
        yield Family(
            f"stored {name}", path, files[path], commands[:1], (*broken(files[path]), *flips), beside=beside
        )


#: What makes the families, in the order of the run.
MAKERS = (results, studies, records, frames, densities, runs, structures)


def families() -> Iterator[Family]:
    """Yield all families of files."""
    for maker in MAKERS:
        yield from maker()
