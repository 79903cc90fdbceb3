/* CRC-32C (Castagnoli), as of RFC 3720; the check value of "123456789" is e3069283. */
#ifndef HOST_BASE_CRC32C_H
#define HOST_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over size bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
