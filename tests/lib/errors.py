"""What an error must say, at whichever door it comes out: code and message always, and what was found, what is expected and what
to do wherever these apply. HttpError and RpcError look at each error that any test gets."""

import re

from lib.harness import expect

DETAILS = ("found", "expected", "hint")
# Where not all of them apply: a function's own text says what it found, damage is told by what it is.
APPLY = {"function_failed": ("hint",), "internal": (), "store_failed": (), "failed": ("hint",)}

# "sofund: message (found X, expected Y); hint", as stderr has it.
LINE = re.compile(r"^(?:sofund|sofun): (?P<message>.+?) \(found (?P<found>.+), expected (?P<expected>.+)\); (?P<hint>.+)$", re.MULTILINE)


def complete(error):
	"""Gives the error back."""
	expect(isinstance(error, dict), f"an error is a map: {error!r}")
	for key in ("code", "message", *APPLY.get(error.get("code"), DETAILS)):
		expect(isinstance(error.get(key), str) and error[key].strip(), f"{key} of {error!r}")
	return error


def complete_line(text):
	"""The one error in what a program wrote to stderr."""
	match = LINE.search(text)
	expect(match, f"a line with what was found, what is expected and what to do: {text[-600:]!r}")
	return match.groupdict()
