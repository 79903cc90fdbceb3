"""Questions to the fixture `mayfly` (tests/fixtures/mayfly/mayfly.c): state that ends by itself."""

from lib.harness import wait_until
from lib.host import Host
from lib.http import HttpError

TYPE = "test/mayfly"
START_MS = 1_000_000_000


def load(host, name="mayfly"):
	return host.http.post("/v1/plugins", {"path": str(host.test.find(f"fixtures/{name}.so"))})


def started(test, name="mayfly", **arguments):
	host = Host(test, plugins=(), flags=["--test-clock", str(START_MS)], **arguments).start()
	load(host, name)
	return host


def call(host, id, count=None, mark=None, note=None):
	"""What stood there before: [count, mark, note]."""
	return host.http.post(f"/v1/functions/{TYPE}/{id}", [count, mark, note])


def clock(host, after_ms):
	"""Milliseconds after the start; returns when all that is due has come."""
	return host.http.post("/v1/clock", {"to_ms": START_MS + after_ms})["time_ms"] - START_MS


def values(host, id):
	"""{} if there is no such instance."""
	try:
		return host.values(TYPE, id)
	except HttpError as error:
		if error.status != 404:
			raise
		return {}


def expires(host, id):
	"""Milliseconds after the start."""
	shown = host.http.get(f"/v1/state/{TYPE}/{id}")["expires"]
	return {name: due_ms - START_MS for name, due_ms in shown.items()}


def settings(host, **functions):
	"""{type: words} by a request."""
	return host.http.post("/v1/config", {"functions": functions.pop("all", {TYPE: functions})})


def ttl(host, **words):
	"""By the command's endpoint; without words: as it is."""
	path = f"/v1/ttl/{TYPE}"
	return host.http.post(path, words) if words else host.http.get(path)


def filed(host):
	"""Until every instance has the entry by which the sweep finds it."""
	wait_until(lambda: not ttl(host)["filing"], 30, "entries of expiry are made")


def ended(host):
	"""id → what on_expire told of it, of each that ended, in order."""
	return [(record["source"]["id"], record["payload"]) for record in host.egress("mayfly")]
