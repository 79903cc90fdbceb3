"""What the trap tests share: questions to a host about its images, and the places of the fixtures."""

from pathlib import Path

from lib.harness import Skip, expect, expect_equal, raised, wait_until
from lib.http import HttpError


def fixture(test, name):
	path = test.build / "tests" / "fixtures" / f"{name}.so"
	if not path.exists():
		raise Skip(f"{path} is not built")
	return path


def plain_build(test):
	"""Under a sanitizer nothing is ever unmapped, and crash fixtures would only show the sanitizer's own report."""
	cache = (test.build / "CMakeCache.txt").read_text()
	for line in cache.splitlines():
		if line.startswith("SOFUN_SANITIZER:") and line.split("=", 1)[1]:
			raise Skip("images are counted in the plain build")


def load(host, path):
	return host.http.post("/v1/plugins", {"path": str(path)})


def load_refused(host, path):
	error = raised(HttpError, lambda: load(host, path))
	expect_equal((error.status, error.code), (422, "refused"), f"loading {Path(path).name}: {error}")
	for field in ("message", "found", "expected", "hint"):
		expect(error.error.get(field) and "\n" not in error.error[field], f"{field} in one line: {error.error}")
	return error.error


def unload(host, name):
	return host.http.json("DELETE", f"/v1/plugins/{name}")


def refused(host, file):
	return next((one for one in host.status()["refused"] if one["file"] == file), None)


def wait_refused(host, file, deadline_s=20):
	return wait_until(lambda: refused(host, file), deadline_s, f"{file} is refused")


def images_add_up(status):
	counted = sum(plugin["state"] in ("live", "draining", "stuck") for plugin in status["plugins"])
	stuck = sum(plugin["state"] == "stuck" for plugin in status["plugins"])
	expect_equal((status["images"]["loaded"], status["images"]["stuck"]), (counted, stuck), "loaded = live + draining + stuck")
	return status["images"]


def mapped(host):
	"""Names of plugin files that are mapped into the host."""
	lines = Path(f"/proc/{host.worker}/maps").read_text().splitlines()
	return {line.split(None, 5)[5] for line in lines if ".so" in line and str(host.data.resolve()) in line}


def call(host, type, id="a", payload=None):
	with host.rpc() as rpc:
		return rpc.call(type, id, payload)


def tree(host):
	return sorted(path.name for path in host.plugins_dir().iterdir())
