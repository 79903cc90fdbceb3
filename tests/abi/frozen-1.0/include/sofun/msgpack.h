/* MessagePack without allocation: read with a cursor, write into a buffer. */
#ifndef SOFUN_MSGPACK_H
#define SOFUN_MSGPACK_H

#include "msgpack_read.h"
#include "msgpack_write.h"

#endif
