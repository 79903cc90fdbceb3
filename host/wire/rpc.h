/* MessagePack-RPC, the host's side: frames out of a receive buffer, answers into a send buffer. FORMAT.md has the bytes.
 * Any thread; a reader belongs to one connection. */
#ifndef HOST_WIRE_RPC_H
#define HOST_WIRE_RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/cursor.h"

enum {
	/* Maps and arrays of a frame around a record: the frame, its params, their one map, the records. A frame without
	 * the right shape is read this much deeper than a payload, and no further. */
	RPC_FRAME_LEVELS = 4,
	/* A frame of no known shape is waited for this long at most, to tell too_deep from bad_request. */
	RPC_ODD_BYTES_MAX = 65536,
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION };

/* Views into the receive buffer. */
struct rpc_frame {
	enum rpc_kind kind;
	uint32_t msgid;      /* REQUEST */
	struct bytes method; /* not checked for UTF-8 */
	struct bytes map;    /* params are [map]: that map, well-formed, its nesting unchecked. Empty: params are not so */
};

struct rpc_reader {
	uint64_t frame_bytes;
	uint32_t nesting;
	struct cursor_scan scan; /* of the frame at the front of the receive buffer */
};

enum rpc_result {
	RPC_FRAME,
	RPC_MORE,       /* the frame is not whole yet */
	RPC_UNPARSABLE, /* to be answered with rpc_write_unparsable, and the connection closed */
};

void rpc_reader_init(struct rpc_reader *reader, uint64_t frame_bytes, uint32_t nesting);

/* The frame at the front of *received, which is moved behind it. On MORE the next call must be given the same bytes
 * again, with more behind them; the buffer may have moved. Of a frame that is larger than frame_bytes the header is
 * enough to be refused. */
enum rpc_result rpc_read(
	struct rpc_reader *reader, struct bytes *received, struct rpc_frame *ret_frame, struct error *error);

/* [1,msgid,nil, and then the caller packs the result: one object. */
void rpc_write_result(struct buf *out, uint32_t msgid);

/* [1,msgid,error,nil] with error = {code,message,…}, texts cleaned of what is not UTF-8. */
void rpc_write_error(struct buf *out, uint32_t msgid, const struct error *error);

/* As rpc_write_error, with the positions of an ERROR_GAP. */
void rpc_write_gap(struct buf *out, uint32_t msgid, const struct error *error, uint64_t accepted, uint64_t durable);

/* [1,0,error,nil]: nobody knows whose frame it was. */
void rpc_write_unparsable(struct buf *out, const struct error *error);

#endif
