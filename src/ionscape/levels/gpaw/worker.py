"""The other end of `MPISession`: one process of several under mpiexec, evaluating what the first of them reads.

Requests are JSON objects, one a line, on standard input of the first process; answers are lines that begin with
`MARK` on its standard output. GPAW's libraries may print there too.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from ase import Atoms

from ionscape.errors import CalculationError
from ionscape.levels.gpaw.session import Session

MARK = "ionscape-answer "


def serve(requests: TextIO, answers: TextIO) -> None:
    """Evaluate `requests` until they end; only the first process reads them and writes `answers`."""
    from gpaw.mpi import broadcast, world

    session: Session | None = None
    while True:
        request: dict[str, Any] = broadcast(_read(requests) if world.rank == 0 else None, 0, comm=world)
        if request.get("end"):
            return
        session = session or Session(request["log"], request["restart"])
        answer = _answer(session, request)
        if world.rank == 0:
            answers.write(f"{MARK}{json.dumps(answer)}\n")
            answers.flush()


def _read(requests: TextIO) -> dict[str, Any]:
    line = requests.readline()
    return json.loads(line) if line.strip() else {"end": True}


def _answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    if request.get("forget"):
        session.forget()
        return {}
    atoms = Atoms(request["numbers"], request["positions"], cell=request["cell"], pbc=True)
    try:
        return session.evaluate(atoms, request["asked"], request["cutoffs"])
    except CalculationError as error:
        return {"failure": str(error)}


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
