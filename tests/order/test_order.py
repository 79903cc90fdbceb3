#!/usr/bin/python3
"""Order per sender and address, under SIGKILL, retries and spill. `play` numbers what it sends to each target, and its value
`gaps` grows at every number that is not the last one plus one."""

import sys
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Campaign, Producer, play_counts
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.program import RETRY, Program, Shape

SPILL_LIMIT = 32 << 20
SPILL_PAD = 4000
# Few targets and many sends to the same one in a row: a swapped pair cannot hide.
SHAPE = {"instances": 40, "fan": 12, "repeat": 0.7}


def campaign(test, messages, kills, shards, shape, settings=None):
	program = Program(test.random, messages, shape)
	host = Host(test, shards=shards[0], settings=dict(RETRY, **(settings or {}))).start()
	producer = Producer(host.socket, program.packed, test.random)
	run = Campaign(test, host, program, producer).run(kills, shards)
	run.report()
	expect_equal(len(run.in_flight), kills, "kills with messages in flight")
	run.verify()


def test_order_under_kills(test):
	campaign(test, test.by_scale(80000, 400000), test.by_scale(8, 60), [4, 2, 1, 4], Shape(nodes=2000, **SHAPE))


def test_order_under_kills_and_retries(test):
	"""An address whose message waits for its next attempt keeps those behind it waiting, and nobody else's."""
	campaign(test, test.by_scale(20000, 150000), test.by_scale(8, 60), [2, 4, 1], Shape(retry=0.05, **SHAPE))


def test_order_under_kills_retries_and_little_memory(test):
	shape = Shape(retry=0.02, pad=4000, emit=1.0, nodes=120, **SHAPE)
	campaign(test, test.by_scale(16000, 60000), test.by_scale(6, 30), [2, 4, 1], shape, {"limits.memory_bytes": "16MiB"})


def blocked_targets(test):
	"""A host under a clock that stands, on which four addresses wait for their second attempt."""
	host = Host(test, shards=2, flags=["--test-clock", "1900000000000"],
		settings={"limits.memory_bytes": f"{SPILL_LIMIT >> 20}MiB", "retry.backoff_ms": 1000}).start()
	with host.rpc() as rpc:
		for target in range(4):
			rpc.send("test/play", f"t{target}", {"add": 1, "fail_times": 1})
	wait_until(lambda: host.status()["retried"] == 4, 20, "the four have failed once")
	return host


def spill_program(test, messages):
	"""Records for 30 senders, each of which sends to the four targets in turns; what the targets emit tells their order."""
	pad = "x" * SPILL_PAD
	for number in range(messages // 10):
		sends = [{"id": f"t{test.random.randrange(4)}", "msg": {"add": 1, "emit": {"egress": "play", "payload": [number, at, pad]}}}
			for at in range(10)]
		yield msgpack.packb({"id": f"s{number % 30}", "msg": {"send": sends}})


def test_order_through_a_spill(test):
	"""Three times the memory waits behind four addresses in backoff: it goes through the disk, over kills and other numbers of
	shards, and comes back in order, each once."""
	host = blocked_targets(test)
	messages = 3 * SPILL_LIMIT // SPILL_PAD // 10 * 10
	producer = Producer(host.socket, list(spill_program(test, messages)), test.random, batch=8, window=4)
	producer.start()
	producer.finish(120)
	wait_until(lambda: host.status()["in_flight"] == messages + 4, 60, "all of them wait")
	held = host.status()["memory_bytes"]
	test.note(f"{messages * SPILL_PAD >> 20} MiB wait, the host holds {held >> 20} MiB of {SPILL_LIMIT >> 20}")
	expect(held <= SPILL_LIMIT, "what waits is not in memory")
	for shards in (4, 1, 2):
		host.kill()
		host.restart(shards=shards)
		expect_equal(host.status()["in_flight"], messages + 4, f"messages that wait on {shards} shards")
	host.http.post("/v1/clock", {"advance_ms": 1000})
	host.barrier(120000)
	counts, gaps = play_counts(host)
	expect_equal(gaps, {}, "gaps")
	expect_equal(sum(counts.values()), messages + 4, "messages handled")
	check_emitted(host, messages)


def check_emitted(host, messages):
	"""Each target emitted what each sender sent to it in the order sent, and nothing is missing or doubled."""
	last, seen = {}, set()
	for record in host.egress("play", page=200):
		number, at, _ = record["payload"]
		key = record["source"]["id"], number % 30
		expect(last.get(key, (-1, -1)) < (number, at), f"{key}: {(number, at)} came behind {last.get(key)}")
		last[key] = number, at
		seen.add((number, at))
	expect_equal(len(seen), messages, "records, each once")


def test_order_from_one_connection(test):
	"""What one connection sends to one address is handled in the order sent, whatever the other connections do."""
	host = Host(test, plugins=("play",), shards=4).start()
	rounds, addresses = test.by_scale(400, 4000), 8
	clients = [host.rpc() for _ in range(4)]
	numbers = [[] for _ in clients]
	for round in range(rounds):
		for client, sent in zip(clients, numbers):
			for address in range(addresses):
				payload = {"add": 1, "emit": {"egress": "play", "payload": [clients.index(client), address, round]}}
				sent.append(client.request("send", {"to": "test/play", "id": f"a{address}", "payload": payload}))
	for client, sent in zip(clients, numbers):
		for number in sent:
			client.answer(number)
	host.barrier()
	last = {}
	for record in host.egress("play"):
		client, address, round = record["payload"]
		expect_equal(round, last.get((client, address), -1) + 1, f"next of connection {client} at address {address}")
		last[client, address] = round
	expect_equal(len(last), len(clients) * addresses, "connections and addresses seen")
	expect_equal(sum(last.values()), (rounds - 1) * len(last), "the last numbers")


if __name__ == "__main__":
	harness.main(globals())
