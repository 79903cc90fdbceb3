#!/usr/bin/python3
"""Counts failed logins in sshd logs without sofun, from the rule in the outside's description of authwatch.

    authwatch_count.py LOG...
        prints JSON: {"sources": {SOURCE: {failures, users, first, last}}, "bans": [{source, failures, last}],
        "failures": N}, where N is the sum over the sources

A module too: count(lines) takes an iterable of bytes without LF. Names that are not UTF-8 are shown with \\xNN.
"""

import json
import re
import sys

BAN_FAILURES = 5

# The first word that ends with a colon is the tag, and it must be sshd's.
TAG = re.compile(rb"(?:[^ ]*[^ :] | )*?sshd\[[0-9]{1,18}\]: ")
REPEATED = re.compile(rb"message repeated ([0-9]{1,18}) times: \[ (.*)", re.DOTALL)
FAILED = re.compile(rb"Failed [^ ]+ for(?= )")
# Of an empty name a relay that makes one space of several leaves nothing.
USER = re.compile(rb"(?: invalid user(?= |\Z))? ?(.*)", re.DOTALL)


def message_of(line):
    """What sshd said, or None."""
    tag = TAG.match(line)
    return line[tag.end():] if tag else None


def failure_of(line):
    """(source, user, count, time) of a line that reports failed logins, or None."""
    if line.endswith(b"\r"):
        line = line[:-1]
    message = message_of(line)
    if message is None:
        return None
    times = 1
    repeated = REPEATED.match(message)
    if repeated:
        times = int(repeated.group(1))
        message = repeated.group(2)
        if message.endswith(b"]"):
            message = message[:-1]
    failed = FAILED.match(message)
    if not failed or times == 0:
        return None
    end = message.rfind(b" from ", failed.end())  # the last one: a user name may hold the words
    source = message[end + len(b" from "):].partition(b" ")[0]
    if end < 0 or not source:
        return None
    return source, USER.fullmatch(message[failed.end():end]).group(1), times, line[:15]


def text(data):
    return data.decode("utf-8", "backslashreplace")


def count(lines):
    """What authwatch must have kept and emitted once all the lines are handled."""
    sources = {}
    bans = []
    for line in lines:
        failure = failure_of(line)
        if failure is None:
            continue
        source, user, times, time = failure
        if len(source) > 255:
            continue  # no address: a dead letter
        kept = sources.setdefault(source, {"failures": 0, "names": set(), "first": text(time), "last": ""})
        before = kept["failures"]
        kept["failures"] += times
        kept["names"].add(user)
        kept["last"] = text(time)
        if before < BAN_FAILURES <= kept["failures"]:
            bans.append({"source": text(source), "failures": kept["failures"], "last": kept["last"]})
    table = {
        text(source): {"failures": kept["failures"], "users": len(kept["names"]), "first": kept["first"],
                       "last": kept["last"]}
        for source, kept in sources.items()
    }
    return {"sources": table, "bans": bans, "failures": sum(kept["failures"] for kept in sources.values())}


def lines_of(path):
    """The lines of a file as `sofun ingest` sends them: without LF."""
    with open(path, "rb") as file:
        for line in file:
            yield line[:-1] if line.endswith(b"\n") else line


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    lines = (line for path in sys.argv[1:] for line in lines_of(path))
    json.dump(count(lines), sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
