/* JSON text as MessagePack, so that a test can say what it sends. Keys keep their order. */
#ifndef TEST_FAKE_JSON_H
#define TEST_FAKE_JSON_H

#include "base/bytes.h"

/* The bytes live until the eighth call from here. Text that is no JSON ends the test program. */
struct bytes json_msgpack(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
