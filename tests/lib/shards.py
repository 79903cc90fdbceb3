"""On which shard an address lives (host/flow/FORMAT.md, "Function types and addresses"; hash version 1): so that a campaign
can say how many of its messages go from one shard to another."""

from lib.store import SEGMENT_HEADER_BYTES

MASK = (1 << 64) - 1
K0 = 0x9E3779B97F4A7C15
K1 = 0xE7037ED1A0B428DB


def _mix(a, b):
	x = a ^ b
	x ^= x >> 32
	x = x * 0xD6E8FEB86659FD93 & MASK
	x ^= x >> 29
	x = x * K0 & MASK
	return x ^ (x >> 32)


def hash_bytes(seed, data):
	state = seed ^ (len(data) * K1 & MASK)
	while len(data) >= 8:
		state = (_mix(state, int.from_bytes(data[:8], "little")) + K1) & MASK
		data = data[8:]
	return _mix(state, int.from_bytes(data, "little"))


def store_id(data):
	"""The 16 bytes in the header of any segment of the journal."""
	for path in sorted((data / "journal").glob("*.segment")):
		header = path.open("rb").read(SEGMENT_HEADER_BYTES)
		if any(header):
			return header[32:48]
	raise FileNotFoundError(f"no journal in {data}")


class Places:
	def __init__(self, data, type_number=1):
		"""REQUIRES: type_number is that of the addresses' type; the first type of a store is number 1."""
		self.seed = int.from_bytes(store_id(data)[:8], "little") ^ (type_number * K0 & MASK)
		self.hashes = {}

	def shard(self, id, shards):
		if id not in self.hashes:
			self.hashes[id] = hash_bytes(self.seed, id.encode()) & 0xFFFFFFFF
		return self.hashes[id] * shards >> 32

	def crossing(self, edges, shards):
		"""The share of the sends (sender, target) that go to another shard."""
		return sum(self.shard(one, shards) != self.shard(other, shards) for one, other in edges) / len(edges)
