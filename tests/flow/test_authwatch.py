#!/usr/bin/python3
"""authwatch against a count in Python, written from its rule without sofun: on a generated log always, on real ones where they
are present; with a SIGKILL in the middle."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgpack

from lib import authwatch_count, harness, make_authlog
from lib.campaign import Producer
from lib.harness import REPOSITORY, Skip, expect, expect_equal, wait_until
from lib.host import Host

FIXED = ("failures", "users", "first", "last")  # what the rule names; the plugin may keep more
DATA = REPOSITORY.parent / "shared" / "data"


def lines_of(path):
	"""The lines of a file without LF; CR stays."""
	data = path.read_bytes()
	return (data[:-1] if data.endswith(b"\n") else data).split(b"\n")


def streamed(test, lines, kills):
	"""A host that took all the lines, killed on the way."""
	host = Host(test, plugins=("authwatch",), shards=4, settings={"retry.backoff_ms": 1}).start()
	producer = Producer(host.socket, [msgpack.packb(line) for line in lines], test.random, ingress="authlog", batch=64)
	producer.start()
	for kill in range(kills):
		producer.gate.set()
		goal = len(lines) * (kill + 1) // (kills + 2)
		wait_until(lambda: producer.check() or producer.durable >= goal, 60, f"{goal} lines are durable", every_s=0.0005)
		producer.gate.clear()
		host.kill()
		host.restart(shards=test.random.choice((1, 2, 4)))
		expect_equal(host.status()["recovered"], "crash", "recovered")
	producer.finish(120)
	host.barrier()
	return host


def compare(test, lines, kills):
	wanted = authwatch_count.count(lines)
	expect(wanted["failures"] > 0, "the log has failures")
	host = streamed(test, lines, kills)
	values = {authwatch_count.text(id) if isinstance(id, bytes) else id: {name: values[name] for name in FIXED}
		for id, values in host.dump("auth/source").items()}
	wrong = [source for source in sorted(set(values) | set(wanted["sources"])) if values.get(source) != wanted["sources"].get(source)]
	expect(not wrong, f"{len(wrong)} sources differ, {wrong[:3]}: got {values.get(wrong[0]) if wrong else None}, "
		f"expected {wanted['sources'].get(wrong[0]) if wrong else None}")
	order = lambda ban: (ban["source"], ban["failures"], ban["last"])
	bans = [record["payload"] for record in host.egress("bans")]
	expect_equal(sorted(bans, key=order), sorted(wanted["bans"], key=order), "bans, once a source")
	test.note(f"{len(lines)} lines, {wanted['failures']} failures of {len(values)} sources, {len(bans)} bans, {kills} kills")


def test_a_generated_log(test):
	compare(test, list(make_authlog.lines(test.seed, test.by_scale(20000, 500000))), kills=3)


def test_generated_logs_of_other_seeds(test):
	for _ in range(test.by_scale(3, 30)):
		compare(test, list(make_authlog.lines(test.random.randrange(1 << 30), 2000)), kills=0)


def real(test, name):
	path = DATA / name
	if not path.exists():
		raise Skip(f"{name} is not there")
	compare(test, lines_of(path), kills=2)


def test_the_real_sshd_log(test):
	real(test, "sshd.log")


def test_the_real_auth_log(test):
	real(test, "auth.log")


if __name__ == "__main__":
	harness.main(globals())
