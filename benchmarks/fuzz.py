"""The whole corpus of malformed inputs (`tests/malformed`), each through a command in a process of its own.

Asked of each: exit code 2, or 3, with exactly one message, and neither traceback nor hang nor memory blow-up; or,
where the content is still what it was, the answer of the well-formed file. Counts by family and every message are
kept in ``benchmarks/results/fuzz.json``.

    python benchmarks/fuzz.py [--family NAME] [--every N]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from record import record

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "malformed"))


def main() -> int:
    """Run the corpus, print what was wrong, record all; 0 if nothing was."""
    from corpus import families
    from running import judged

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="", help="only families with this in their name")
    parser.add_argument("--every", type=int, default=1, help="only one case in so many")
    options = parser.parse_args()
    results: dict = {"cases": 0, "complaints": 0, "families": {}}
    for family in families():
        if options.family not in family.name:
            continue
        started, codes, messages, wrong = time.monotonic(), Counter(), {}, []
        slowest = largest = 0.0
        for verdict in judged(family, options.every):
            codes[str(verdict.ended.code)] += 1
            messages[f"{verdict.case.name} | {verdict.case.arguments[0]}"] = verdict.message
            slowest, largest = max(slowest, verdict.ended.seconds), max(largest, verdict.ended.peak_MB)
            if verdict.complaint:
                wrong.append(f"{verdict.case.name} | {verdict.case.arguments[0]}: {verdict.complaint}")
                print(f"  {family.name} | {wrong[-1]} | {verdict.message}", flush=True)
        results["families"][family.name] = {
            "cases": codes.total(),
            "exit_codes": dict(codes),
            "complaints": wrong,
            "slowest_s": round(slowest, 2),
            "largest_MB": round(largest),
            "messages": messages,
        }
        results["cases"] += codes.total()
        results["complaints"] += len(wrong)
        record("fuzz", results)  # after every family: the whole takes a quarter of an hour
        print(f"{family.name:28s} {codes.total():5d} cases {time.monotonic() - started:6.0f} s", flush=True)
    print(f"{results['cases']} cases, {results['complaints']} complaints; written: {record('fuzz', results)}")
    return 1 if results["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
