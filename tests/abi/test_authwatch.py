#!/usr/bin/python3
"""authwatch against a count that knows nothing of it: on a generated log always, on real ones where they are.

    test_authwatch.py --build DIR [--seed N] [--scale ci|full] [LOG...]
        without LOG: the logs in ../shared/data beside the source tree, where they are there
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests" / "lib"))
import authwatch_count  # noqa: E402
import make_authlog  # noqa: E402

LINES = {"ci": 20000, "full": 200000}

# The words of the rule, to be put together in any order.
WORDS = [b"Failed ", b"Failed", b"password", b" for", b" for ", b" from ", b" from", b"from ", b"invalid user ",
         b"invalid user", b"sshd[1]: ", b"sshd[22]:", b"message repeated 3 times: [ ", b"]", b"\r", b"1.2.3.4", b"x",
         b":", b" ", b"  "]
STARTS = [b"", b"Dec 10 06:55:46 gate ", b"Dec 10 06:55:46 gate sshd[9]: ",
          b"Dec  1 06:55:46 gate sshd[9]: Failed none for"]


def shuffled(seed, count):
    """Lines that are nearly failures, and some that are."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice(STARTS) + b"".join(rng.choice(WORDS) for _ in range(rng.randint(0, 12)))


def compare(dump, log):
    """Ends the program with a text where the two differ."""
    kept = json.loads(subprocess.run([dump, str(log)], check=True, stdout=subprocess.PIPE).stdout)
    expected = authwatch_count.count(authwatch_count.lines_of(log))
    for source in sorted(kept["sources"].keys() | expected["sources"].keys()):
        ours, theirs = kept["sources"].get(source), expected["sources"].get(source)
        if ours != theirs:
            sys.exit(f"{log}: source {source}: authwatch {ours}, counted {theirs}")
    if kept["bans"] != expected["bans"]:
        differing = [pair for pair in zip(kept["bans"], expected["bans"]) if pair[0] != pair[1]]
        sys.exit(f"{log}: {len(kept['bans'])} bans, counted {len(expected['bans'])}; first difference {differing[:1]}")
    if expected["failures"] == 0:
        sys.exit(f"{log}: no failure in it: this compared nothing")
    sources, bans = len(kept["sources"]), len(kept["bans"])
    print(f"{log.name}: {expected['failures']} failures of {sources} sources, {bans} bans: equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", choices=sorted(LINES), default="ci")
    parser.add_argument("logs", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    dump = str(pathlib.Path(arguments.build) / "tests" / "abi" / "authwatch_dump")
    with tempfile.TemporaryDirectory() as folder:
        for make in make_authlog.lines, shuffled:
            log = pathlib.Path(folder) / f"{make.__name__}-{arguments.seed}.log"
            with open(log, "wb") as file:
                file.writelines(line + b"\n" for line in make(arguments.seed, LINES[arguments.scale]))
            compare(dump, log)
    logs = arguments.logs or [TREE.parent / "shared" / "data" / name for name in ("sshd.log", "auth.log")]
    for log in logs:
        if log.exists():
            compare(dump, log)
        else:
            print(f"skipped: {log.name} is not here")


if __name__ == "__main__":
    main()
