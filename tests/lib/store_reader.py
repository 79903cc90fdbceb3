#!/usr/bin/python3
"""An independent reader of a store, written from the FORMAT pages alone (host/state, host/flow, host/wire). Reads only.

    store_reader.py DATA journal | rows runtime|NS/NAME | state [NS/NAME] | messages | timers        store_reader.py FILE wire

One JSON line an item. Databases are read by plyvel (python3-plyvel) from a copy; without it only the journal is."""

import importlib.util, json, shutil, struct, sys, tempfile
from pathlib import Path
import msgpack
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.crc32c import crc32c

BLOCK, RECORD, HEAD = 4096, struct.Struct("<I4s8sQQQQQII"), struct.Struct("<IIQHHBBBBII")
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

def unpack(content):
	return msgpack.unpackb(content, strict_map_key=False)

class Cursor:  # over bytes: varint and sized as the pages write them
	def __init__(self, data):
		self.data, self.at = data, 0
	def take(self, size):
		self.at += size
		assert self.at <= len(self.data), "cut off"
		return self.data[self.at - size:self.at]
	def varint(self, shift=0):
		byte = self.take(1)[0]
		return byte << shift if byte < 0x80 else ((byte & 0x7F) << shift) + self.varint(shift + 7)
	def sized(self):
		return self.take(self.varint())
	def __bool__(self):
		return self.at < len(self.data)

def redo(body):
	"""(1, database, key, value) puts, (2, database, key) removes, (3, egress, offset, record) emits."""
	body, database, key, places, turn = Cursor(body), None, None, [b""] * 4, 0
	while body:
		kind = body.take(1)[0]
		assert kind in (1, 2, 3) or kind >= 0x40 and isinstance(key, bytes), f"redo operation {kind}"
		if kind == 3:
			key, offset = None, (body.sized(), int.from_bytes(body.take(8), "little"))
			yield (3, *offset, body.sized())
			continue
		if kind < 3:
			database, key = body.varint(), body.sized()
		elif kind >= 0x80:
			assert kind & 0x7F <= len(key)
			key = key[:kind & 0x7F] + body.sized()
		else:
			place, same, shared = kind >> 4 & 3, kind & 15, body.take(1)[0]
			known, shared, given = places[place], shared & 0x7F, shared >= 0x80
			sizes = (body.varint(), body.varint()) if given else (len(key) - shared, len(known) - same)
			assert known and same <= len(known) and shared <= len(key) and min(sizes) >= 0 and 1 <= same + sizes[1] <= 64
			key = key[:shared] + body.take(sizes[0])
			places[place] = known[:same] + body.take(sizes[1])
			yield 1, database, key, places[place]
			continue
		if kind == 2:
			yield 2, database, key
			continue
		value = body.sized()
		if kind == 1:
			places, turn = [b""] * 4, 0
		if 1 <= len(value) <= 64:
			places[turn], turn = value, (turn + 1) % 4
		yield 1, database, key, value

def segments(data):
	"""{sequence: (file name, content, store id)}; a file whose header is blank or damaged is left out."""
	found = {}
	for path in Path(data, "journal").glob("*.segment"):
		content = path.read_bytes()
		crc, magic, version, block, sequence, size, store = struct.unpack_from("<I4sIIQQ16s", content)
		if magic == b"sJs1" and version in (1, 2) and block == BLOCK and crc == crc32c(content[4:BLOCK]):
			found[sequence] = (path.name, content[:size], store)
	return found

def record(found, sequence, at):
	"""The record at that place, with its body; or None."""
	name, content, store = found.get(sequence, ("", b"", b""))
	head = content[at:at + RECORD.size].ljust(RECORD.size, b"\0")
	crc, magic, tag, own, generation, epoch, time_ms, synced, previous, length = RECORD.unpack(head)
	if magic != b"sJr1" or tag != store[:8] or own != sequence or crc32c(content[at + 4:at + 64 + length]) != crc:
		return None
	return {"epoch": epoch, "time_ms": time_ms, "generation": generation, "synced_through": synced, "file": name, "offset": at,
		"sequence": own, "length": length, "crc": crc, "previous": previous, "body": content[at + 64:at + 64 + length]}

def follows(here, last):
	return not last or (here["generation"] >= last["generation"] and
		(here["epoch"], here["previous"]) == (last["epoch"] + 1, last["crc"]))

def journal(data, checkpoint=None):
	"""The chain of records, from the newest segment that begins at or below checkpoint + 1 (None: from the oldest)."""
	found, last, at = segments(data), None, BLOCK
	starts = [sequence for sequence in sorted(found) if (first := record(found, sequence, BLOCK)) and
		(checkpoint is None or first["epoch"] <= checkpoint + 1)]
	sequence = starts[0 if checkpoint is None else -1] if starts else 0
	while sequence:
		places = ((sequence, at), (sequence + 1, BLOCK))
		last = next((here for place in places if (here := record(found, *place)) and follows(here, last)), {"sequence": 0})
		sequence = last["sequence"]
		if sequence:
			yield last
			at = last["offset"] + (64 + last["length"] + BLOCK - 1) // BLOCK * BLOCK

def base(path):
	"""The rows of a database as of its checkpoint."""
	if importlib.util.find_spec("plyvel") is None or not path.is_dir():
		return {}
	with tempfile.TemporaryDirectory() as copy:
		return dict(importlib.import_module("plyvel").DB(shutil.copytree(path, copy, dirs_exist_ok=True)).iterator())

def folder(name):
	return "".join(chr(byte) if byte in PLAIN and (at or byte != 0x2E) else f"%{byte:02X}" for at, byte in enumerate(name))

class Store:
	def __init__(self, data):
		self.databases = {0: (runtime := base(Path(data, "runtime")))}
		self.checkpoint = int.from_bytes(runtime.get(b"C", b"")[:8], "little")
		for key in [key for key in runtime if key[:1] == b"B"]:
			name = Cursor(runtime[key][8:]).sized()
			self.databases[int.from_bytes(key[1:], "big")] = base(Path(data, "types", folder(name)))
		for kind, first, key, *value in (change for here in journal(data, self.checkpoint) for change in redo(here["body"])):
			if kind < 3:
				self.databases.setdefault(first, {}).pop(key, None)
				self.databases[first].update({key: put for put in value})
		self.types = {int.from_bytes(key[1:], "big"): msgpack.unpackb(row)[0] for key, row in runtime.items() if key[:1] == b"T"}
	def rows(self, name):
		return self.databases.get(0 if name == "runtime" else {name: number for number, name in self.types.items()}[name], {})
	def instances(self, name):  # {id: {number of the value: what it holds}}
		rows = self.rows(name)
		return {key[1:]: dict(self.values(rows, key[1:], Cursor(rows[key]))) for key in sorted(rows) if key[:1] == b"I"}
	def values(self, rows, id, row):
		row.varint(), row.varint(), row.varint()  # schema, generation, last touch
		while row:
			tag, size = row.varint(), row.varint()
			row.varint() if tag & 2 else None  # when it was last set
			content = row.take(size) if tag % 2 == 0 else rows[b"X" + bytes([len(id)]) + id + bytes([tag // 4])]
			yield tag // 4, self.entries(rows, id, Cursor(content[1:])) if content[:1] == b"\xc1" else unpack(content)
	def entries(self, rows, id, header):  # [[key, value], ...] of a table, [item, ...] of a list
		kind, prefix = header.take(1)[0], b"M" + bytes([len(id)]) + id + header.varint().to_bytes(8, "big")
		first = header.varint().to_bytes(8, "big") if kind == 6 else b""
		found = [(key[len(prefix):], rows[key]) for key in sorted(rows) if key.startswith(prefix) and key >= prefix + first]
		return [unpack(row) if kind == 6 else [key, unpack(row)] for key, row in found]
	def messages(self):
		"""What waits: each with its queue and its arrival number there, in that order."""
		rows = self.rows("runtime")
		for key in sorted(key for key in rows if key[:1] == b"Q"):
			head = msgpack.unpackb(rows.get(b"H" + key[1:9], b"\x92\0\0"))[1]
			number, run = int.from_bytes(key[9:], "big"), Cursor(rows[key])
			while run:
				message = self.message(Cursor(run.take(HEAD.unpack_from(run.data, run.at)[0])))
				yield from [dict(message, queue=key[1:9].hex(), number=number)] if number >= head else ()
				number += 1
	def timers(self):
		"""What is sent when its time has come, in that order: delayed messages, then sweeps."""
		rows = self.rows("runtime")
		for key in sorted(key for key in rows if key[:1] in (b"Z", b"z")):
			due_ms, serial, row = *struct.unpack(">QQ", key[1:]), Cursor(rows[key])
			yield dict(due_ms=due_ms, serial=serial, sweep=key[:1] == b"z", token=row.take(row.take(1)[0]), **self.message(row))
	def message(self, cursor):
		_, _, birth, to, caller, *sizes, flags, payload_size, _ = HEAD.unpack(cursor.take(HEAD.size))
		cursor.take((16 if flags & 4 else 0) + (32 if flags & 64 else 0))
		id, caller_id, kind, payload = (cursor.take(size) for size in (*sizes, payload_size))
		return {"to": self.types.get(to, to), "id": id, "caller": self.types.get(caller), "caller_id": caller_id, "type": kind,
			"birth_epoch": birth, "payload": unpack(payload)}

def items(data, what, *names):
	if what in ("wire", "journal"):
		return msgpack.Unpacker(open(data, "rb"), strict_map_key=False) if what == "wire" else (
			dict(here, body=list(redo(here["body"]))) for here in journal(data))
	store = Store(data)
	return store.messages() if what == "messages" else store.timers() if what == "timers" else sorted(store.rows(names[0]).items()) if what == "rows" else (
		{"type": name, "id": id, "values": found} for name in names or store.types.values()
		for id, found in store.instances(name).items())

if __name__ == "__main__":
	for item in items(*sys.argv[1:]) if len(sys.argv) > 2 else sys.exit(__doc__):
		print(json.dumps(item, default=lambda data: data.decode() if data.isascii() else {"hex": data.hex()}))
