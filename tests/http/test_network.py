#!/usr/bin/python3
"""The doors on the network: what may be opened at all, TLS, tokens and their rights, and that control stays inside."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http, HttpError
from lib.rpc import Rpc, RpcError

failure = partial(harness.raised, HttpError)
rpc_failure = partial(harness.raised, RpcError)
LISTENING = re.compile(r"listening door=(\w+) address=(\S+):(\d+) tls=(\w+) tokens=(\w+)")
SECRET, READER = "correct-horse-battery", "only-for-the-graphs-1"


def certificate(test, name="a"):
	"""Makes key and certificate; returns the settings for them, and a client's context that trusts nobody else."""
	key, cert = test.dir / f"{name}.key", test.dir / f"{name}.pem"
	subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
		check=True, capture_output=True)
	return {"tls.certificate": str(cert), "tls.key": str(key)}, ssl.create_default_context(cafile=str(cert))


def tokens(test, text=f"# name token rights\nall {SECRET} call,ingest,subscribe,metrics\ngraphs {READER} metrics\n"):
	file = test.dir / "tokens"
	file.write_text(text)
	file.chmod(0o600)
	return {"auth.tokens": str(file)}


def open_host(test, data=True, http=True, address="127.0.0.1", **more):
	"""A host with listeners on ports that the kernel chose; gives it with their places."""
	settings = dict(more.pop("settings", {}))
	if data:
		settings["listen.data"] = f'["tcp:{address}:0"]'
	if http:
		settings["listen.http"] = f'["tcp:{address}:0"]'
	host = Host(test, settings=settings, **more).start()
	host.doors = {door: ("127.0.0.1", int(port)) for door, _, port, _, _ in LISTENING.findall(host.errors())}
	return host


def refused_start(test, settings, *words):
	for check in (("--check-config",), ()):
		line = [str(test.find("sofund")), "--data", str(test.dir / "none"), *check]
		for key, value in settings.items():
			line += ["--set", f"{key}={value}"]
		ended = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
		expect_equal(ended.returncode, 2, f"exit for {settings}: {ended.stderr}")
		for word in words:
			expect(word in ended.stderr, f"{word!r} in {ended.stderr!r}")


# ---- what may be opened ----

def test_beyond_the_machine_needs_certificate_and_tokens(test):
	tls, _ = certificate(test)
	for address in ("0.0.0.0", "[::]", "*"):
		for setting in ("listen.http", "listen.data"):
			listen = {setting: f'["tcp:{address}:18999"]'}
			remedy = ("tls.certificate, tls.key and auth.tokens", "127.0.0.1")
			refused_start(test, listen, "neither encryption nor a token", *remedy)
			refused_start(test, {**listen, **tls}, "no token is asked for", *remedy)
			refused_start(test, {**listen, **tokens(test)}, "unencrypted", *remedy)
	expect(not (test.dir / "none").exists(), "nothing was made")


def test_wrong_secrets_are_refused_with_the_remedy(test):
	tls, _ = certificate(test)
	other, _ = certificate(test, "b")
	listen = {"listen.http": '["tcp:127.0.0.1:0"]'}
	refused_start(test, {**listen, "tls.certificate": tls["tls.certificate"]}, "go together", "tls.certificate alone")
	refused_start(test, {**listen, **tls, "tls.key": other["tls.key"]}, "tls.key", "PEM file of the certificate's key")
	refused_start(test, {**listen, **tls, "tls.certificate": "/nonexistent"}, "tls.certificate: /nonexistent")
	for text, words in (("", ("no token is in the file",)), ("a short call\n", (":1:", "too short", "16")),
			("\n#x\na " + "x" * 20 + " fly\n", (":3:", "unknown right", "ingest")), ("a " + "x" * 20 + "\n", ("not three words",)),
			("a sha256:12 call\n", ("64 hexadecimal",)), ("a " + "x" * 20 + " control\n", ("unknown right",))):
		refused_start(test, {**listen, **tokens(test, text)}, *words)
	setting = tokens(test)
	os.chmod(setting["auth.tokens"], 0o644)
	refused_start(test, {**listen, **setting}, "no file of secrets", "mode 644", "chmod 600")
	refused_start(test, {**listen, "auth.tokens": "/nonexistent"}, "cannot read /nonexistent")


def test_a_port_in_use_is_refused(test):
	with socket.socket() as taken:
		taken.bind(("127.0.0.1", 0))
		taken.listen()
		host = Host(test, settings={"listen.http": f'["tcp:127.0.0.1:{taken.getsockname()[1]}"]'}).spawn()
		expect_equal(host.process.wait(30), 2, "exit")
		expect("Address already in use" in host.errors() and "ss -ltnp" in host.errors(), host.errors())


# ---- what is served ----

def test_loopback_serves_functions_and_metrics_only(test):
	host = open_host(test)
	http = Http(host.doors["http"])
	expect_equal(http.post("/v1/functions/test/play/a", {"add": 2, "reply": True}), 2, "a call")
	expect("epoch" in http.post("/v1/functions/test/play/a?mode=send", {"add": 1}), "a send")
	expect("sofun_ready 1" in http.text("GET", "/metrics"), "metrics")
	expect_equal(failure(lambda: http.get("/nope")).status, 404, "nothing there")
	for endpoint in host.http.get("/v1")["endpoints"]:
		path = endpoint["path"].replace("{", "").replace("}", "")
		if path == "/metrics" or path.startswith("/v1/functions"):
			continue
		error = failure(lambda method=endpoint["method"], path=path: http.text(method, path))
		expect_equal((error.status, error.code), (403, "forbidden"), f"{endpoint['method']} {path}")
		expect("control.sock" in error.error["hint"], "the remedy")
	with Rpc(host.doors["data"]) as rpc:
		expect_equal(rpc.call("test/play", "a", {"reply": True}), 3, "by RPC")
		expect_equal(rpc.position("play", "p"), 0, "ingest")
	curl = subprocess.run(["curl", "-s", "-d", '{"add":1,"reply":true}', "http://%s:%d/v1/functions/test/play/a" % host.doors["http"]],
		capture_output=True, check=False)
	expect_equal(curl.stdout.strip(), b"4", "by curl")
	host.stop()


def test_tokens_give_rights(test):
	host = open_host(test, settings=tokens(test))
	place = host.doors["http"]
	for token in (None, "", "wrong-wrong-wrong-wrong", SECRET[:-1], SECRET + "x", READER + " " + SECRET):
		for method, path in (("POST", "/v1/functions/test/play/a"), ("GET", "/metrics"), ("GET", "/v1/status"), ("GET", "/nope")):
			error = failure(lambda token=token, method=method, path=path: Http(place, token=token).text(method, path, "{}"))
			expect_equal((error.status, error.code), (403, "forbidden"), f"{token} {path}")
	full, reader = Http(place, token=SECRET), Http(place, token=READER)
	expect_equal(full.post("/v1/functions/test/play/a", {"add": 2, "reply": True}), 2, "call")
	expect("sofun_ready" in full.text("GET", "/metrics") and "sofun_ready" in reader.text("GET", "/metrics"), "metrics")
	error = failure(lambda: reader.post("/v1/functions/test/play/a", {"add": 2}))
	expect_equal((error.status, error.error["expected"]), (403, "the right call"), "no right to call")
	expect_equal(failure(lambda: full.get("/v1/status")).status, 403, "no token opens control")
	expect_equal(host.http.post("/v1/functions/test/play/a", {"reply": True}), 2, "nothing was changed without the right; inside needs none")


def test_the_data_door_asks_for_a_token(test):
	host = open_host(test, settings=tokens(test))
	with Rpc(host.doors["data"]) as rpc:
		for method, params in (("call", {"to": "test/play", "id": "a", "payload": {"add": 1}}), ("ingest", {}), ("subscribe", {}), ("ack", {}),
				("send", {"to": "test/play", "id": "a", "payload": {"add": 1}})):
			error = rpc_failure(lambda method=method, params=params: rpc.do(method, **params))
			expect_equal(error.code, "forbidden", method)
			expect("the method auth" in error.error["hint"], "the remedy")
		expect_equal(rpc_failure(lambda: rpc.do("auth", token="nobody-has-this-one")).code, "forbidden", "a wrong token")
		expect_equal(rpc_failure(lambda: rpc.do("auth", token="")).code, "bad_request", "an empty one")
		expect_equal(rpc.do("auth", token=READER), {"rights": ["metrics"]}, "a token for something else")
		expect_equal(rpc_failure(lambda: rpc.send("test/play", "a", {"add": 1})).code, "forbidden", "still not")
		expect_equal(rpc.do("auth", token=SECRET), {"rights": ["call", "ingest", "subscribe", "metrics"]}, "the rights")
		expect_equal(rpc.call("test/play", "a", {"add": 5, "reply": True}), 5, "nothing happened before")
	with host.rpc() as inside:
		expect_equal(inside.call("test/play", "a", {"reply": True}), 5, "the Unix socket asks for none")


def test_a_withdrawn_token_ends_at_once(test):
	setting = tokens(test)
	host = open_host(test, settings=setting)
	http = Http(host.doors["http"], token=SECRET)
	with Rpc(host.doors["data"]) as rpc:
		rpc.do("auth", token=SECRET)
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "before")
		tokens(test, "all another-token-of-mine call\n")
		os.kill(host.process.pid, signal.SIGHUP)
		wait_until(lambda: "secrets_read what=tokens" in host.errors(), what="the file is read")
		expect_equal(rpc_failure(lambda: rpc.send("test/play", "a", {"add": 1})).code, "forbidden", "the open connection")
		expect_equal(failure(lambda: http.text("GET", "/metrics")).status, 403, "HTTP")
		tokens(test, "broken\n")
		os.kill(host.process.pid, signal.SIGHUP)
		wait_until(lambda: "secrets_refused what=tokens" in host.errors(), what="the refusal")
		expect_equal(rpc.do("auth", token="another-token-of-mine"), {"rights": ["call"]}, "what was read last holds")


def test_a_hash_stands_for_its_token(test):
	import hashlib
	host = open_host(test, settings=tokens(test, f"a sha256:{hashlib.sha256(SECRET.encode()).hexdigest()} metrics\n"), data=False)
	expect("sofun_ready" in Http(host.doors["http"], token=SECRET).text("GET", "/metrics"), "metrics")


# ---- TLS ----

def test_everything_passes_through_tls(test):
	tls, context = certificate(test)
	host = open_host(test, address="0.0.0.0", settings={**tls, **tokens(test)})
	http = Http(host.doors["http"], tls=context, token=SECRET)
	expect_equal(http.post("/v1/functions/test/play/a", {"add": 2, "reply": True}), 2, "a call")
	expect_equal(failure(lambda: http.text("POST", "/v1/functions/test/play/a", "1" * 17000000)).status, 413, "too large, told in JSON")
	expect_equal(failure(lambda: http.get("/v1/status")).code, "forbidden", "control")
	with Rpc(host.doors["data"], tls=context) as rpc:
		rpc.do("auth", token=SECRET)
		payload = {"add": 1, "reply": True, "emit": {"egress": "play", "payload": "y" * 300000}}
		numbers = []
		sender = threading.Thread(target=lambda: numbers.extend(rpc.request("call", {"to": "test/play", "id": "b", "payload": payload})
			for _ in range(40)))
		sender.start()
		sender.join()
		expect_equal([rpc.answer(number)["payload"] for number in numbers], list(range(1, 41)), "large frames, pipelined")
		small = [rpc.request("call", {"to": "test/play", "id": "c", "payload": {"add": 1, "reply": True}}) for _ in range(3000)]
		expect_equal([rpc.answer(number)["payload"] for number in small], list(range(1, 3001)), "small frames, pipelined")
		records = [msgpack.packb({"id": f"r{number % 50}", "msg": {"add": 1, "emit": {"egress": "play", "payload": "z" * 1000}}}) for number in range(8000)]
		expect_equal(rpc.answer(rpc.ingest_packed("play", "p", 1, records)), {"durable": 8000}, "one frame of 8 MB")
	host.stop()


def test_plain_bytes_on_a_tls_door_are_refused(test):
	tls, context = certificate(test)
	host = open_host(test, settings=tls)
	for door in ("data", "http"):
		with socket.create_connection(host.doors[door], 20) as plain:
			plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
			got = b""
			try:
				while data := plain.recv(4096):
					got += data
			except ConnectionResetError:
				pass
			expect(b"sofun_" not in got, f"{door}: {got[:100]!r}")
	with Rpc(host.doors["data"], tls=context) as rpc:
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "others are served")


def test_a_renewed_certificate_is_read(test):
	tls, context = certificate(test)
	host = open_host(test, settings=tls, data=False)
	old = Http(host.doors["http"], tls=context)
	expect("sofun_ready" in old.text("GET", "/metrics"), "the first one")
	_, renewed = certificate(test)
	os.kill(host.process.pid, signal.SIGHUP)
	wait_until(lambda: "secrets_read what=tls" in host.errors(), what="it is read")
	expect("sofun_ready" in Http(host.doors["http"], tls=renewed).text("GET", "/metrics"), "the second one")
	expect("sofun_ready" in old.text("GET", "/metrics"), "an open connection goes on")
	harness.raised(ssl.SSLError, lambda: Http(host.doors["http"], tls=context).text("GET", "/metrics"))
	Path(tls["tls.key"]).write_text("broken")
	os.kill(host.process.pid, signal.SIGHUP)
	wait_until(lambda: "secrets_refused what=tls" in host.errors(), what="the refusal")
	expect("sofun_ready" in Http(host.doors["http"], tls=renewed).text("GET", "/metrics"), "what was read last holds")


def test_who_does_not_greet_is_shown_out(test):
	tls, _ = certificate(test)
	host = open_host(test, settings={**tls, **tokens(test)})
	silent = [socket.create_connection(host.doors["data"], 30) for _ in range(3)]
	for one in silent:
		expect_equal(one.recv(1), b"", "closed by the host")
		one.close()
	expect("TLS was not agreed on" in host.errors(), "the log says why")


# ---- the Unix socket ----

def test_another_user_gets_nothing_on_the_data_socket(test):
	host = Host(test).start()
	if os.geteuid() != 0:
		raise Skip("another user's connection needs root to try")
	for path in (host.data, test.dir):
		os.chmod(path, 0o755)
	os.chmod(host.socket, 0o777)
	program = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect(sys.argv[1])\n"
		"got = b''\nwhile data := s.recv(4096):\n\tgot += data\nsys.stdout.buffer.write(got)")
	answer = subprocess.run(["/usr/bin/python3", "-c", program, str(host.socket)], user=65534, group=65534, extra_groups=[],
		capture_output=True, check=True).stdout
	frame = msgpack.unpackb(answer)
	expect_equal((frame[0], frame[1], frame[2]["code"], frame[2]["found"]), (1, 0, "forbidden", "uid 65534"), "the refusal")
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "its own user is served")


if __name__ == "__main__":
	harness.main(globals())
