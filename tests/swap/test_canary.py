#!/usr/bin/python3
"""A canary: its share of the ids on every shard, the same ids after a restart, more of them when it is raised, all or none in the end.
Which version handled an id is seen from outside by a version that fails: its messages become dead letters that name it."""

import math
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.shards import Places

IDS = 100000


def swap(host, version, **more):
	return host.http.post("/v1/plugins/play/swap", {"version": version, **more})


def canary_ids(host, test, count):
	"""The ids that 1.1.0 has: every message fails, and its dead letter names the version."""
	before = {row["number"] for row in host.dead()}
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": f"c{n}", "payload": {"fail": "x"}}) for n in range(count)]
		for number in numbers:
			rpc.answer(number)
	host.barrier()
	rows = [row for row in host.dead() if row["number"] not in before]
	expect_equal(len(rows), count, "dead letters")
	return {row["id"] for row in rows if row["version"] == "1.1.0"}


def shares_are(test, places, ids, count):
	"""20 % on each of 4 shards: within 1 % of the ids where there are enough to say so, else within what chance allows."""
	of = Counter(places.shard(f"c{n}", 4) for n in range(count))
	has = Counter(places.shard(id, 4) for id in ids)
	shares = [has[shard] / of[shard] for shard in range(4)]
	room = max(0.01, 5 * math.sqrt(0.2 * 0.8 / min(of.values())))
	test.note(f"shares {[f'{share:.4f}' for share in shares]} of {count} ids")
	expect(all(abs(share - 0.2) <= room for share in shares), f"20 % of the ids on each shard, within {room:.3f}: {shares}")


def test_the_share_is_sticky_and_only_grows(test):
	host = Host(test, shards=4, settings={"retry.attempts": 1, "crash.probation_ms": 0}).start()  # nothing waits for a verdict
	host.http.post("/v1/plugins", {"path": str(test.plugin("play"))})
	host.stop()
	host.restart(settings={"plugins.policy": "manual"})
	host.http.post("/v1/plugins", {"path": str(test.plugin("next/play"))})
	swap(host, "1.1.0", canary=20)
	host.settle(2)
	shares = {row["version"]: row["share_percent"] for row in host.http.get("/v1/plugins/play/versions")["versions"]}
	expect_equal(shares, {"1.0.0": 80, "1.1.0": 20}, "shares")
	count = test.by_scale(6000, IDS)
	ids = canary_ids(host, test, count)
	shares_are(test, Places(host.data), ids, count)
	host.kill()
	host.restart(shards=2)
	some = min(count, 2000)
	expect_equal(canary_ids(host, test, some), {id for id in ids if int(id[1:]) < some}, "the same ids after a kill, on other shards")
	host.stop()
	host.restart(shards=4)
	swap(host, "1.1.0", canary=50)
	host.settle(2)
	more = canary_ids(host, test, some)
	expect({id for id in ids if int(id[1:]) < some} < more, "raising only adds")
	host.http.post("/v1/plugins/play/promote")
	host.settle(1)
	expect_equal(len(canary_ids(host, test, 100)), 100, "promoted: it has all")
	host.http.post("/v1/plugins/play/rollback")
	host.settle(1)
	expect_equal(len(canary_ids(host, test, 100)), 0, "rolled back: it has none")


if __name__ == "__main__":
	harness.main(globals())
