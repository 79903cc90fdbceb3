#include "failure.h"

enum { ROOM_BYTES = 512 }; /* on the stack for a message: names are short; a longer one takes a builder */

int failure_send(sofun_context *context, const struct failure *failure) {
	uint8_t room[ROOM_BYTES];
	const bool fits = failure->user.size < ROOM_BYTES / 2;
	sofun_writer writer = fits ? sofun_writer_into(room, sizeof room) : sofun_writer_builder(context);
	sofun_write_map(&writer, 3);
	sofun_write_text(&writer, "count");
	sofun_write_int(&writer, failure->count);
	sofun_write_text(&writer, "time");
	sofun_write_str(&writer, failure->time);
	sofun_write_text(&writer, "user");
	sofun_write_str_or_bin(&writer, failure->user);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_send(context, "auth/source", failure->source, payload) : status;
}

bool failure_read(sofun_bytes payload, struct failure *ret_failure) {
	sofun_reader reader = sofun_reader_of(payload);
	uint32_t pairs;
	sofun_bytes key;
	memset(ret_failure, 0, sizeof *ret_failure);
	if (!sofun_read_map(&reader, &pairs) || pairs != 3)
		return false;
	for (; pairs > 0; pairs--) {
		if (!sofun_read_str(&reader, &key))
			return false;
		const bool is_count = sofun_bytes_are(key, "count");
		const bool is_time = sofun_bytes_are(key, "time");
		if (is_count      ? !sofun_read_int(&reader, &ret_failure->count)
				: is_time ? !sofun_read_str(&reader, &ret_failure->time)
						  : !sofun_bytes_are(key, "user") || !sofun_read_str_or_bin(&reader, &ret_failure->user))
			return false;
	}
	return ret_failure->count >= 1 && ret_failure->time.data != NULL && ret_failure->user.data != NULL &&
		ret_failure->time.size <= LINE_TIME_BYTES;
}
