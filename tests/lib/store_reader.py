#!/usr/bin/python3
"""An independent reader of a store, written from the FORMAT pages alone (host/state, host/flow, host/wire). Reads only.

    store_reader.py DATA journal        one line a record: epoch, time, where it stands, its redo operations
    store_reader.py DATA rows NAME      the rows of a database (runtime, or ns/name): checkpoint and journal merged
    store_reader.py DATA state [NAME]   the instances of one function type, or of all
    store_reader.py DATA messages       what waits in queues
    store_reader.py FILE wire           the MessagePack-RPC frames in a file

Databases are read by plyvel (python3-plyvel) from a copy; without it only what is still in the journal is seen."""

import json
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.crc32c import crc32c

BLOCK = 4096
RECORD = struct.Struct("<I4s8sQQQQQII")
HEAD = struct.Struct("<IIQHHBBBBII")


class Bytes:
	"""A cursor over bytes: varint, sized, and fixed numbers as the pages write them."""

	def __init__(self, data):
		self.data, self.at = data, 0

	def take(self, size):
		if self.at + size > len(self.data):
			raise ValueError(f"cut off at {self.at}")
		self.at += size
		return self.data[self.at - size:self.at]

	def varint(self):
		value = shift = 0
		while True:
			byte = self.take(1)[0]
			value |= (byte & 0x7F) << shift
			if byte < 0x80:
				return value
			shift += 7

	def sized(self):
		return self.take(self.varint())

	def more(self):
		return self.at < len(self.data)


def redo(body):
	"""(put, database, key, value), (remove, database, key), (egress, name, offset, record)"""
	body = Bytes(body)
	while body.more():
		kind = body.take(1)[0]
		if kind == 1:
			yield "put", body.varint(), body.sized(), body.sized()
		elif kind == 2:
			yield "remove", body.varint(), body.sized()
		elif kind == 3:
			yield "egress", body.sized(), int.from_bytes(body.take(8), "little"), body.sized()
		else:
			raise ValueError(f"redo operation {kind}")


def segments(data):
	"""{sequence: (file name, content)}; a header that is blank or damaged is left out."""
	found = {}
	for path in Path(data, "journal").glob("*.segment"):
		content = path.read_bytes()
		crc, magic, version, block, sequence, size, store, _ = struct.unpack_from("<I4sIIQQ16sQ", content)
		if magic == b"sJs1" and crc == crc32c(content[4:BLOCK]) and version == 1 and block == BLOCK:
			found[sequence] = (path.name, content[:size], store)
	return found


def record(segment, sequence, at):
	"""The record at that place as a dictionary with its body, or None."""
	name, content, store = segment
	if at + RECORD.size > len(content):
		return None
	crc, magic, tag, own, generation, epoch, time_ms, synced, previous, length = RECORD.unpack_from(content, at)
	if magic != b"sJr1" or tag != store[:8] or own != sequence or crc32c(content[at + 4:at + 64 + length]) != crc:
		return None
	return {"epoch": epoch, "time_ms": time_ms, "generation": generation, "synced_through": synced, "file": name, "offset": at,
		"length": length, "crc": crc, "previous": previous, "body": content[at + 64:at + 64 + length]}


def journal(data, checkpoint=None):
	"""The chain of records, from the newest segment that begins at or below checkpoint + 1 (None: from the oldest)."""
	found = segments(data)
	starts = [sequence for sequence in sorted(found) if (first := record(found[sequence], sequence, BLOCK)) and
		(checkpoint is None or first["epoch"] <= checkpoint + 1)]
	if not starts:
		return
	sequence, at, last = starts[-1 if checkpoint is not None else 0], BLOCK, None
	while True:
		for sequence, at in ((sequence, at), (sequence + 1, BLOCK)):
			here = record(found[sequence], sequence, at) if sequence in found else None
			if here and (last is None or (here["epoch"] == last["epoch"] + 1 and here["previous"] == last["crc"] and
				here["generation"] >= last["generation"])):
				break
		else:
			return
		yield here
		last, at = here, at + (64 + here["length"] + BLOCK - 1) // BLOCK * BLOCK


class Store:
	def __init__(self, data):
		self.data = Path(data)
		self.databases = {}
		runtime = self.base("runtime", 0)
		at = runtime.get(b"C")
		self.checkpoint = int.from_bytes(at[:8], "little") if at else 0
		self.records = list(journal(data, self.checkpoint))
		for key, value in runtime.items():
			if key[:1] == b"B":
				name = Bytes(value[8:]).sized().decode()
				self.databases[int.from_bytes(key[1:5], "big")] = self.base("types/" + folder(name), 1)
		for here in self.records:
			for operation in redo(here["body"]):
				if operation[0] == "put":
					self.databases.setdefault(operation[1], {})[operation[2]] = operation[3]
				elif operation[0] == "remove":
					self.databases.setdefault(operation[1], {}).pop(operation[2], None)
		self.types = {int.from_bytes(key[1:3], "big"): msgpack.unpackb(value)[0] for key, value in self.rows(0) if key[:1] == b"T"}

	def base(self, name, number):
		"""The rows of a database as of its checkpoint."""
		rows = self.databases.setdefault(0, {}) if number == 0 else {}
		try:
			import plyvel
		except ImportError:
			return rows
		if (self.data / name).is_dir():
			with tempfile.TemporaryDirectory() as copy:
				shutil.copytree(self.data / name, copy, dirs_exist_ok=True)
				database = plyvel.DB(copy)
				rows.update(database.iterator())
				database.close()
		return rows

	def rows(self, number):
		return sorted(self.databases.get(number, {}).items())

	def number(self, name):
		return 0 if name == "runtime" else next(number for number, found in self.types.items() if found == name)

	def instances(self, name):
		"""{id: {number of the value: what it holds}}"""
		rows = self.databases.get(self.number(name), {})
		return {key[1:]: dict(self.values(rows, key[1:], Bytes(value))) for key, value in sorted(rows.items()) if key[:1] == b"I"}

	@staticmethod
	def values(rows, id, row):
		row.varint(), row.varint(), row.varint()  # schema, generation, last touch
		while row.more():
			tag = row.varint()
			content = rows[b"X" + bytes([len(id)]) + id + bytes([tag // 2])] if tag % 2 else row.take(0)
			inline_size = row.varint()
			yield tag // 2, msgpack.unpackb(content if tag % 2 else row.take(inline_size), strict_map_key=False)

	def messages(self):
		"""(queue, arrival number, message) of all that waits, in order of queue and number."""
		rows = self.databases.get(0, {})
		for key, value in self.rows(0):
			if key[:1] != b"Q":
				continue
			head = rows.get(b"H" + key[1:9])
			first, run = int.from_bytes(key[9:17], "big"), Bytes(value)
			while run.more():
				if head is None or first >= msgpack.unpackb(head)[1]:
					yield key[1:9].hex(), first, self.message(run)
				else:
					self.message(run)
				first += 1

	def message(self, run):
		start = run.at
		size, _, birth, to, caller, id_size, caller_size, type_size, flags, payload_size, _ = HEAD.unpack(run.take(HEAD.size))
		run.take(16 if flags & 4 else 0)
		id, caller_id, kind, payload = run.take(id_size), run.take(caller_size), run.take(type_size), run.take(payload_size)
		run.take(start + size - run.at)
		return {"to": self.types.get(to, to), "id": id, "caller": self.types.get(caller), "caller_id": caller_id, "type": kind,
			"birth_epoch": birth, "payload": msgpack.unpackb(payload, strict_map_key=False)}


def folder(name):
	plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return "".join(chr(byte) if byte in plain and (at or byte != 0x2E) else f"%{byte:02X}" for at, byte in enumerate(name.encode()))


def show(value):
	print(json.dumps(value, default=lambda data: data.decode() if data.isascii() else {"hex": data.hex()}))


def main():
	data, what, *rest = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
	if what == "wire":
		for frame in msgpack.Unpacker(open(data, "rb"), strict_map_key=False, raw=False):
			show(frame)
	elif what == "journal":
		for here in journal(data):
			show(dict(here, body=[list(operation) for operation in redo(here["body"])]))
	elif what == "rows":
		store = Store(data)
		for row in store.rows(store.number(rest[0])):
			show(row)
	elif what == "state":
		store = Store(data)
		for name in rest or store.types.values():
			for id, values in store.instances(name).items():
				show({"type": name, "id": id, "values": values})
	elif what == "messages":
		for queue, number, message in Store(data).messages():
			show(dict(message, queue=queue, number=number))
	else:
		sys.exit(__doc__)


if __name__ == "__main__":
	main()
