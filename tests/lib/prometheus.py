"""A strict reader of Prometheus' text format 0.0.4, written from its specification: what it does not refuse, a scraper takes."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\})')
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
UNITS = ("_seconds", "_bytes", "_total", "_seconds_total", "_bytes_total")


class Refused(AssertionError):
	"""A line that breaks the format, or a rule of good names."""


class Family:
	def __init__(self, name, help):
		self.name, self.help, self.type, self.samples = name, help, None, {}


def _expect(condition, line, why):
	if not condition:
		raise Refused(f"{why}: {line!r}")


def _labels(text, line):
	"""(labels, rest) of what follows a sample's name."""
	labels = {}
	if not text.startswith("{"):
		return labels, text
	text = text[1:]
	if text.startswith("}"):
		return labels, text[1:]
	while True:
		match = LABEL.match(text)
		_expect(match, line, "not a label")
		_expect(match[1] not in labels and not match[1].startswith("__"), line, f"label {match[1]}")
		labels[match[1]] = match[2]
		text = text[match.end():]
		if match[3] == "}":
			return labels, text


def _sample(families, family, line):
	match = NAME.match(line)
	_expect(match, line, "no name")
	labels, rest = _labels(line[match.end():], line)
	_expect(re.fullmatch(r" \S+", rest), line, "one blank and a value")
	float(rest)
	_expect(family and family.type, line, "a sample before its TYPE")
	suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
	_expect(match[0] in [family.name + suffix for suffix in suffixes], line, f"not of the family {family.name}")
	key = (match[0], tuple(sorted(labels.items())))
	_expect(key not in family.samples, line, "twice")
	family.samples[key] = float(rest)


def _histogram(family):
	series = {}
	for (name, labels), value in family.samples.items():
		plain = tuple(label for label in labels if label[0] != "le")
		one = series.setdefault(plain, {"buckets": []})
		if name.endswith("_bucket"):
			one["buckets"].append((float(dict(labels)["le"]), value))
		else:
			one[name.rsplit("_", 1)[1]] = value
	for labels, one in series.items():
		limits, counts = zip(*one["buckets"])
		_expect(list(limits) == sorted(set(limits)) and limits[-1] == float("inf"), family.name, f"buckets of {labels}")
		_expect(list(counts) == sorted(counts), family.name, f"buckets of {labels} do not grow")
		_expect(one["count"] == counts[-1] and one["sum"] >= 0, family.name, f"sum and count of {labels}")


def parse(text):
	"""Name → Family. Raises Refused."""
	families, family = {}, None
	_expect(text.endswith("\n"), text[-20:], "the last line must end")
	for line in text[:-1].split("\n"):
		if not line.startswith("#"):
			_sample(families, family, line)
			continue
		match = re.fullmatch(r"# (HELP|TYPE) (\S+) (.+)", line)
		_expect(match and NAME.fullmatch(match[2]), line, "neither HELP nor TYPE")
		if match[1] == "HELP":
			_expect(match[2] not in families, line, "a family twice")
			_expect(match[3].endswith("."), line, "help is a sentence")
			family = families[match[2]] = Family(match[2], match[3])
			continue
		_expect(family and family.name == match[2] and family.type is None and not family.samples, line, "TYPE without its HELP")
		_expect(match[3] in TYPES, line, "type")
		_expect((match[3] == "counter") == match[2].endswith("_total"), line, "counters end in _total, and only they")
		family.type = match[3]
	for one in families.values():
		_expect(one.samples, one.name, "no sample")
		if one.type == "histogram":
			_expect(one.name.endswith(UNITS), one.name, "no unit")
			_histogram(one)
	return families
