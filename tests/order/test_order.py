#!/usr/bin/python3
"""Order per sender and address, under SIGKILL, retries and spill. `play` numbers what it sends to each target, and its value
`gaps` grows at every number that is not the last one plus one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Campaign, Producer
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.program import Program, Shape

RETRY = {"retry.backoff_ms": 3, "retry.factor": 2}
# Few targets and many sends to the same one in a row: a swapped pair cannot hide.
SHAPE = {"instances": 40, "fan": 12, "repeat": 0.7}


def campaign(test, messages, kills, shards, shape, settings=None, deadline_s=240):
	program = Program(test.random, messages, shape)
	host = Host(test, shards=shards[0], settings=dict(RETRY, **(settings or {}))).start()
	producer = Producer(host.socket, program.packed, test.random)
	run = Campaign(test, host, program, producer).run(kills, shards, deadline_s)
	run.report()
	run.verify()
	return host


def test_order_under_kills(test):
	campaign(test, test.by_scale(40000, 300000), test.by_scale(8, 60), [4, 2, 1, 4], Shape(**SHAPE))


def test_order_under_kills_and_retries(test):
	"""An address whose message waits for its next attempt keeps those behind it waiting, and nobody else's."""
	host = campaign(test, test.by_scale(20000, 150000), test.by_scale(8, 60), [2, 4, 1], Shape(retry=0.05, **SHAPE))
	expect(host.status()["retried"] >= 0, "status names retried")


def test_order_under_kills_retries_and_spill(test):
	"""A memory limit far below what waits: queues go through the disk and come back in order."""
	program_bytes = test.by_scale(64, 256) << 20
	shape = Shape(retry=0.01, pad=4000, emit=1.0, nodes=120, **SHAPE)
	limit = 32 << 20
	expect(program_bytes > 2 * limit or not test.full(), "the program is larger than the memory")
	campaign(test, program_bytes // 4000, test.by_scale(6, 30), [2, 4, 1], shape,
		{"limits.memory_bytes": f"{limit >> 20}MiB"})


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
