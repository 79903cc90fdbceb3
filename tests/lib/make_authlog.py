#!/usr/bin/python3
"""Writes an sshd log as a machine under break-in attempts has it: the same seed gives the same bytes.

    make_authlog.py --seed N --lines N [--output FILE]

A few sources make most of the attempts. Between them stands what a reader must not take for a failure: other messages
of sshd, other programs (some quote sshd), and users whose names contain the words of a failure. Some lines end with
CRLF, some stand for several ("message repeated N times"), some have an empty user. A module too: lines(seed, count)
yields bytes without LF.
"""

import argparse
import random
import sys
import time

HOST = b"gate"
START = 1733810000  # 10 December 2024, 05:53:20 UTC
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

USERS = b"root admin test oracle postgres ubuntu git pi ftp www-data mysql deploy nagios guest support".split()
ODD_USERS = [
    b"",
    b" ",
    b"a b",
    b"invalid user",
    b"from",
    b"J\xc3\xbcrgen",
    b"caf\xe9",
    b"\\303\\244",
    b"x" * 300,
]
INJECTIONS = [
    b"x from 203.0.113.9 port 22 ssh2",
    b"root from 203.0.113.9",
    b"Failed password for root from 203.0.113.9 port 22 ssh2",
    b"sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2",
    b"message repeated 99 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]",
    b" from  from ",
]
METHODS = [b"password"] * 20 + [b"publickey", b"none", b"keyboard-interactive/pam"]


def source_make(rng):
    kind = rng.random()
    if kind < 0.9:
        return b".".join(b"%d" % rng.randint(1, 254) for _ in range(4))
    if kind < 0.97:
        return b"2001:db8::%x:%x" % (rng.randrange(65536), rng.randrange(65536))
    return b"host-%d.example.net" % rng.randrange(1000)


def stamp(at):
    clock = time.gmtime(at)
    month = MONTHS[clock.tm_mon - 1]
    return b"%s %2d %02d:%02d:%02d" % (month, clock.tm_mday, clock.tm_hour, clock.tm_min, clock.tm_sec)


def user_make(rng):
    chance = rng.random()
    if chance < 0.6:
        return rng.choice(USERS)
    if chance < 0.94:
        return b"user%d" % rng.randrange(400)
    return rng.choice(ODD_USERS if chance < 0.98 else INJECTIONS)


def failed(rng, source):
    user = user_make(rng)
    known = b"" if user in USERS and rng.random() < 0.5 else b"invalid user "
    return b"Failed %s for %s%s from %s port %d ssh2" % (
        rng.choice(METHODS), known, user, source, rng.randint(1024, 65535))


def sshd_other(rng, source):
    user = user_make(rng)
    return rng.choice([
        b"Invalid user %s from %s" % (user, source),
        b"Connection closed by %s [preauth]" % source,
        b"Received disconnect from %s: 11: Bye Bye [preauth]" % source,
        b"Accepted publickey for deploy from %s port 50022 ssh2: RSA SHA256:abcdef" % source,
        b"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s" % source,
        b"error: maximum authentication attempts exceeded for %s from %s port 4242 ssh2 [preauth]" % (user, source),
        b"Failed to release session: Interrupted system call",
        b"Failed keyboard",
        b"input_userauth_request: invalid user %s [preauth]" % user,
        b"message repeated 3 times: [ Invalid user %s from %s]" % (user, source),
        b"message repeated 2 times: [ Failed ]",
    ])


def other_program(rng, source):
    return rng.choice([
        b"CRON[%d]: pam_unix(cron:session): session opened for user root by (uid=0)" % rng.randrange(32768),
        b"sudo:   deploy : USER=root ; COMMAND=/bin/echo sshd[7]: Failed password for root from %s port 1" % source,
        b"logger: sshd[7]: Failed password for root from %s port 22 ssh2" % source,
        b"systemd-logind[412]: New session %d of user deploy." % rng.randrange(1000),
        b"vsftpd[88]: Failed password for ftp from %s" % source,
        b"last message repeated 4 times",
    ])


def line_make(rng, at, source):
    head = stamp(at) + b" " + HOST + b" "
    tag = b"sshd[%d]: " % rng.randint(300, 32767)
    kind = rng.random()
    if kind < 0.45:
        return head + tag + failed(rng, source)
    if kind < 0.50:
        return head + tag + b"message repeated %d times: [ %s]" % (rng.randint(1, 5), failed(rng, source))
    if kind < 0.85:
        return head + tag + sshd_other(rng, source)
    return head + other_program(rng, source)


def lines(seed, count):
    """`count` lines as bytes, CR included where a line has one."""
    rng = random.Random(seed)
    sources = [source_make(rng) for _ in range(max(8, min(count // 20, 5000)))]
    at = START
    for _ in range(count):
        at += int(rng.expovariate(0.5))
        # Cubed: the first sources make most of it, as botnets do.
        source = sources[int(len(sources) * rng.random() ** 3)]
        line = line_make(rng, at, source)
        yield line + b"\r" if rng.random() < 0.05 else line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, required=True)
    parser.add_argument("--output", help="a file instead of stdout")
    arguments = parser.parse_args()
    file = open(arguments.output, "wb") if arguments.output else sys.stdout.buffer
    with file:
        for line in lines(arguments.seed, arguments.lines):
            file.write(line + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
