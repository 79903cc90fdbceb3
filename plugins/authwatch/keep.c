#include "keep.h"

#include "names.h"

enum {
	BAN_FAILURES = 5, /* a person who forgot a password has given up by then */
	ROOM_BYTES = 512, /* on the stack for a ban: an id and two small values fit */
};

static int times_keep(sofun_context *context, const struct keep *keep, sofun_bytes time) {
	sofun_bytes first;
	int status = sofun_get_raw(context, keep->first, &first);
	if (status == SOFUN_OK && first.size == 0)
		status = sofun_set_str(context, keep->first, time);
	return status == SOFUN_OK ? sofun_set_str(context, keep->last, time) : status;
}

static int user_keep(sofun_context *context, const struct keep *keep, sofun_bytes user) {
	bool is_new;
	if (names_add(context, keep->names, user, &is_new) != 0)
		return SOFUN_FAILED;
	if (!is_new)
		return 0;
	int64_t users;
	int status = sofun_get_int(context, keep->users, &users);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, keep->users, users + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "users could not be kept: %s", sofun_status_text(status));
}

static int ban_emit(sofun_context *context, sofun_bytes source, int64_t failures, sofun_bytes last) {
	uint8_t room[ROOM_BYTES];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_map(&writer, 3);
	sofun_write_text(&writer, "source");
	sofun_write_str_or_bin(&writer, source);
	sofun_write_text(&writer, "failures");
	sofun_write_int(&writer, failures);
	sofun_write_text(&writer, "last");
	sofun_write_str(&writer, last);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_emit(context, "bans", payload) : status;
}

int keep_refuse(sofun_context *context) {
	return sofun_fail(context, "the payload must be {count: 1 or more, time: a text of at most %d bytes, user: a name}",
		LINE_TIME_BYTES);
}

int keep_failure(sofun_context *context, const struct keep *keep, sofun_bytes source, const struct failure *failure) {
	int64_t before, after;
	int status = sofun_get_int(context, keep->failures, &before);
	if (status == SOFUN_OK && __builtin_add_overflow(before, failure->count, &after))
		return sofun_fail(context, "overflow: %lld + %lld failures", (long long)before, (long long)failure->count);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, keep->failures, after);
	if (status == SOFUN_OK)
		status = times_keep(context, keep, failure->time);
	if (status == SOFUN_OK && before < BAN_FAILURES && after >= BAN_FAILURES)
		status = ban_emit(context, source, after, failure->time);
	if (status != SOFUN_OK)
		return sofun_fail(context, "the failure could not be kept: %s", sofun_status_text(status));
	return user_keep(context, keep, failure->user);
}
