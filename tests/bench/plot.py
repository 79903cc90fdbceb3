#!/usr/bin/python3
"""Draws what `sofun --json bench --only swap` saw, as SVG: latency and rate over time, each swap marked; beside it all swaps
laid over one another, so that what they have in common shows.

    sofun --json bench --only swap > report.json; tests/bench/plot.py report.json swap.svg"""

import json
import math
import sys
from xml.sax.saxutils import escape

WIDTH = 1240
LEFT, RIGHT = 74, 24  # room for the labels of the axes, and at the edge
TIME_WIDTH, LAID_WIDTH, BETWEEN = 680, 380, 82
HEAD, PANEL_HEIGHT, PANEL_GAP, FOOT = 96, 190, 76, 40
POINTS_MAX = 340  # over time: more cannot be told apart
LAID_BEFORE_MS, LAID_AFTER_MS = 400, 600

INK, FAINT, GRID = "#222222", "#777777", "#e4e4e4"
MEDIAN, P99, LONGEST, RATE, SWAP = "#1b6ca8", "#e08a1e", "#b9b9b9", "#1b6ca8", "#c2255c"
SERIES = ((3, LONGEST, "longest"), (2, P99, "p99"), (1, MEDIAN, "median"))  # column of a bin, colour, name
COUNT = 0  # the column of the number of answers


def median(values):
	ordered = sorted(values)
	return ordered[(len(ordered) - 1) // 2] if ordered else None


class Panel:
	"""A rectangle with its scales, and the SVG in it."""

	def __init__(self, left, top, width, x_range, y_range, logarithmic):
		self.left, self.top, self.width = left, top, width
		self.x_range, self.y_range, self.logarithmic = x_range, y_range, logarithmic
		self.parts = []

	def x(self, value):
		low, high = self.x_range
		return self.left + self.width * (value - low) / (high - low)

	def y(self, value):
		low, high = self.y_range
		value = min(max(value, low), high)
		share = math.log(value / low) / math.log(high / low) if self.logarithmic else (value - low) / (high - low)
		return self.top + PANEL_HEIGHT * (1 - share)

	def text(self, x, y, text, anchor="start", size=12, colour=INK, weight="normal"):
		self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" '
			f'font-weight="{weight}">{escape(text)}</text>')

	def line(self, x1, y1, x2, y2, colour, width=1.0, kind=""):
		self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
			f'stroke-width="{width}"{kind}/>')

	def axes(self, x_ticks, x_label, y_ticks, y_name):
		bottom, right = self.top + PANEL_HEIGHT, self.left + self.width
		for value in y_ticks:
			self.line(self.left, self.y(value), right, self.y(value), GRID)
			self.text(self.left - 7, self.y(value) + 4, y_name(value), "end", 11, FAINT)
		for value, name in x_ticks:
			self.line(self.x(value), bottom, self.x(value), bottom + 4, FAINT)
			self.text(self.x(value), bottom + 17, name, "middle", 11, FAINT)
		self.line(self.left, bottom, right, bottom, FAINT)
		self.text((self.left + right) / 2, bottom + 34, x_label, "middle", 11, FAINT)

	def curve(self, points, colour, width=1.3):
		"""Broken where a point has no value."""
		path, pen = [], "M"
		for x, y in points:
			if y is None:
				pen = "M"
				continue
			path.append(f"{pen}{self.x(x):.1f} {self.y(y):.1f}")
			pen = "L"
		self.parts.append(f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}" '
			'stroke-linejoin="round"/>')

	def band(self, points, colour):
		"""points: (x, low, high)."""
		there = [point for point in points if point[1] is not None]
		path = [f"{self.x(x):.1f} {self.y(high):.1f}" for x, _, high in there]
		path += [f"{self.x(x):.1f} {self.y(low):.1f}" for x, low, _ in reversed(there)]
		self.parts.append(f'<path d="M{" L".join(path)} Z" fill="{colour}" opacity="0.16"/>')

	def mark(self, x):
		"""A swap: a triangle above the panel, and a hair line through it."""
		at = self.x(x)
		self.line(at, self.top, at, self.top + PANEL_HEIGHT, SWAP, 0.8, ' opacity="0.55"')
		self.parts.append(f'<path class="swap" d="M{at - 4:.1f} {self.top - 9:.1f} h8 L{at:.1f} {self.top - 1:.1f} Z" '
			f'fill="{SWAP}"/>')


def joined(run):
	"""The bins of a run, as many of them put together as can be told apart: (middle in ms, bin)."""
	bins, each = run["bins"], max(1, math.ceil(len(run["bins"]) / POINTS_MAX))
	points = []
	for first in range(0, len(bins) - each + 1, each):
		part = bins[first:first + each]
		there = [bin for bin in part if bin[COUNT] > 0]
		whole = [sum(bin[COUNT] for bin in part) / each]
		whole += [median([bin[1] for bin in there]), median([bin[2] for bin in there]), max(
			[bin[3] for bin in there], default=None)]
		points.append(((first + each / 2) * run["bin_ms"], whole))
	return points


def laid_over(run, column):
	"""(offset from the swap in ms, values of that column, one of each swap)."""
	bin_ms, rows = run["bin_ms"], []
	for step in range(-LAID_BEFORE_MS // bin_ms, LAID_AFTER_MS // bin_ms + 1):
		values = []
		for swap in run["swaps"]:
			at = int(swap["asked_ms"] // bin_ms) + step
			if 0 <= at < len(run["bins"]) and (run["bins"][at][COUNT] > 0 or column == COUNT):
				values.append(run["bins"][at][column])
		rows.append((step * bin_ms, values))
	return rows


def share(values, at):
	return sorted(values)[int((len(values) - 1) * at)] if values else None


def milliseconds(value):
	return None if value is None else value / 1000


def latency_range(run):
	seen = [milliseconds(bin[column]) for bin in run["bins"] if bin[COUNT] > 0 for column in (1, 3)]
	low, high = min(seen, default=0.1), max(seen, default=10)
	return 10 ** math.floor(math.log10(max(low, 0.01))), 10 ** math.ceil(math.log10(max(high, 1)))


def powers(y_range):
	low, high = y_range
	return [10 ** power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def rate_ticks(high):
	step = 10 ** math.floor(math.log10(high))
	step = step / 2 if high / step < 3 else step
	return [step * i for i in range(int(high / step) + 1)]


def time_ticks(length_ms):
	step = next(step for step in (250, 500, 1000, 2000, 5000, 10000, 20000, 50000, 10 ** 9) if length_ms / step <= 10)
	return [(at, f"{at / 1000:g}") for at in range(0, int(length_ms) + 1, step)]


def panels_of(run, top, is_rate):
	"""The run over time, and its swaps laid over one another."""
	length_ms = len(run["bins"]) * run["bin_ms"]
	a_second = 1000 / run["bin_ms"]
	if is_rate:
		high = max(point[COUNT] for _, point in joined(run)) * a_second * 1.15
		y_range, ticks, name = (0, high), rate_ticks(high), lambda value: f"{value / 1000:g} k/s"
	else:
		y_range = latency_range(run)
		ticks, name = powers(y_range), lambda value: f"{value:g} ms"
	time = Panel(LEFT, top, TIME_WIDTH, (0, length_ms), y_range, not is_rate)
	laid = Panel(LEFT + TIME_WIDTH + BETWEEN, top, LAID_WIDTH, (-LAID_BEFORE_MS, LAID_AFTER_MS), y_range, not is_rate)
	time.axes(time_ticks(length_ms), "seconds", ticks, name)
	laid.axes([(at, f"{at:+d}" if at else "0") for at in range(-LAID_BEFORE_MS, LAID_AFTER_MS + 1, 200)],
		"milliseconds from the request to swap", ticks, name)
	for swap in run["swaps"]:
		time.mark(swap["asked_ms"])
	laid.mark(0)
	live_ms = median([swap["live_ms"] - swap["asked_ms"] for swap in run["swaps"]])
	laid.line(laid.x(live_ms), top, laid.x(live_ms), top + PANEL_HEIGHT, SWAP, 0.8, ' stroke-dasharray="3 3"')
	for column, colour, _ in ((COUNT, RATE, "rate"),) if is_rate else SERIES:
		shown = (lambda value: None if value is None else value * a_second) if is_rate else milliseconds
		time.curve([(x, shown(point[column])) for x, point in joined(run)], colour)
		rows = laid_over(run, column)
		if is_rate or column == 3:
			laid.band([(x, shown(share(values, 0.1)), shown(share(values, 0.9))) for x, values in rows], RATE if is_rate else FAINT)
		laid.curve([(x, shown(median(values))) for x, values in rows], colour, 1.8)
	what = (f"{len(run['swaps'])} swaps, as many calls as are answered: rate" if is_rate else
		f"{len(run['swaps'])} swaps, {run['rate']:,} calls a second, drain {run['name']}: latency")
	time.text(time.left, top - 16, what, size=13, weight="bold")
	laid.text(laid.left, top - 16, "the same, swaps laid over one another", size=13, weight="bold")
	return time.parts + laid.parts


def legend(panel):
	x = LEFT
	for colour, name in [(colour, name) for _, colour, name in reversed(SERIES)]:
		panel.line(x, 62, x + 22, 62, colour, 3)
		panel.text(x + 28, 66, name)
		x += 100
	panel.parts.append(f'<path d="M{x} 57 h10 l-5 9 Z" fill="{SWAP}"/>')
	panel.text(x + 18, 66, "a swap is asked for; dashed: it is live (median). Right: medians over the swaps, shaded 10 to 90 % of them")


def draw(report):
	runs = report["details"]["swap"]
	height = HEAD + len(runs) * (PANEL_HEIGHT + PANEL_GAP) + FOOT - 30
	page = Panel(LEFT, 0, WIDTH - LEFT - RIGHT, (0, 1), (0, 1), False)
	page.text(LEFT, 34, "Calls of a plugin that is swapped meanwhile, as their client sees them", size=19, weight="bold")
	legend(page)
	parts = page.parts
	for number, run in enumerate(runs):
		parts += panels_of(run, HEAD + 24 + number * (PANEL_HEIGHT + PANEL_GAP), run["rate"] == 0)
	return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
		f'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
		+ "\n".join(parts) + "\n</svg>\n")


def main():
	if len(sys.argv) != 3:
		sys.exit("usage: plot.py REPORT.json FILE.svg")
	with open(sys.argv[1], encoding="utf-8") as file:
		report = json.load(file)
	if "swap" not in report.get("details", {}):
		sys.exit(f"{sys.argv[1]} has no swaps: it must come from sofun --json bench --only swap")
	with open(sys.argv[2], "w", encoding="utf-8") as file:
		file.write(draw(report))


if __name__ == "__main__":
	main()
