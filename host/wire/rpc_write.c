#include "wire/pack.h"
#include "wire/rpc.h"

/* [1, msgid, */
static void answer_open(struct buf *out, uint32_t msgid) {
	pack_array(out, 4);
	pack_uint(out, 1);
	pack_uint(out, msgid);
}

void rpc_write_result(struct buf *out, uint32_t msgid) {
	answer_open(out, msgid);
	pack_nil(out);
}

static void words_write(struct buf *out, const char *key, const char *words) {
	if (words[0] == '\0')
		return;
	pack_text(out, key);
	pack_str_clean(out, bytes_text(words));
}

/* The members of the error map, `more` of which the caller adds. */
static void error_write(struct buf *out, const struct error *error, uint32_t more) {
	uint32_t details = (error->found[0] != '\0') + (uint32_t)(error->expected[0] != '\0') + (error->hint[0] != '\0');
	pack_map(out, 2 + details + more);
	pack_text(out, "code");
	pack_text(out, error_code_name(error->code));
	pack_text(out, "message");
	pack_str_clean(out, bytes_text(error->message));
	words_write(out, "found", error->found);
	words_write(out, "expected", error->expected);
	words_write(out, "hint", error->hint);
}

void rpc_write_error(struct buf *out, uint32_t msgid, const struct error *error) {
	answer_open(out, msgid);
	error_write(out, error, 0);
	pack_nil(out);
}

void rpc_write_gap(struct buf *out, uint32_t msgid, const struct error *error, uint64_t accepted, uint64_t durable) {
	answer_open(out, msgid);
	error_write(out, error, 2);
	pack_text(out, "accepted");
	pack_uint(out, accepted);
	pack_text(out, "durable");
	pack_uint(out, durable);
	pack_nil(out);
}

void rpc_write_unparsable(struct buf *out, const struct error *error) {
	rpc_write_error(out, 0, error);
}
