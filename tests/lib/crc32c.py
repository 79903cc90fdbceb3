"""CRC-32C, as the journal's pages use it (host/state/FORMAT.md)."""

POLYNOMIAL = 0x82F63B78


def _table():
	for value in range(256):
		for _ in range(8):
			value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
		yield value


_TABLE = list(_table())


def crc32c(data):
	crc = 0xFFFFFFFF
	for byte in data:
		crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
	return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283
