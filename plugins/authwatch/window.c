#include "window.h"

/* ---- as bytes ---- */

bool window_read(sofun_bytes msgpack, struct window *ret_window) {
	uint32_t count;
	memset(ret_window, 0, sizeof *ret_window);
	if (msgpack.size == 0)
		return true;
	sofun_reader reader = sofun_reader_of(msgpack);
	if (!sofun_read_array(&reader, &count) || count < 1 || count > 1 + WINDOW_MINUTES ||
		!sofun_read_int(&reader, &ret_window->minute))
		return false;
	for (uint32_t i = 0; i + 1 < count; i++) {
		if (!sofun_read_int(&reader, &ret_window->counts[i]))
			return false;
	}
	return true;
}

sofun_bytes window_write(const struct window *window, uint8_t room[WINDOW_BYTES_MAX]) {
	uint32_t count = WINDOW_MINUTES;
	while (count > 0 && window->counts[count - 1] == 0)
		count--;
	sofun_writer writer = sofun_writer_into(room, WINDOW_BYTES_MAX);
	sofun_write_array(&writer, count + 1);
	sofun_write_int(&writer, window->minute);
	for (uint32_t i = 0; i < count; i++)
		sofun_write_int(&writer, window->counts[i]);
	sofun_bytes msgpack;
	(void)sofun_written(&writer, &msgpack); /* the room is as large as it can get */
	return msgpack;
}

/* ---- time ---- */

/* Two digits at `at`; a blank may stand for the first. -1: none. */
static int digits_read(const uint8_t *at) {
	const int tens = at[0] == ' ' ? 0 : at[0] - '0';
	const int ones = at[1] - '0';
	return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

/* Minutes from the beginning of the year, a leap year's February always counted: only differences matter. -1: no time. */
static int64_t minute_of(sofun_bytes time) {
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int days_before[] = {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335};
	if (time.size != sizeof "Dec 10 06:55:46" - 1 || time.data[3] != ' ' || time.data[6] != ' ' ||
		time.data[9] != ':' || time.data[12] != ':')
		return -1;
	const int day = digits_read(time.data + 4);
	const int hour = digits_read(time.data + 7);
	const int minute = digits_read(time.data + 10);
	for (size_t month = 0; month < 12; month++) {
		if (memcmp(time.data, months + 3 * month, 3) == 0 && day >= 1 && day <= 31 && hour >= 0 && hour <= 23 &&
			minute >= 0 && minute <= 59)
			return ((int64_t)(days_before[month] + day - 1) * 24 + hour) * 60 + minute;
	}
	return -1;
}

/* ---- the window ---- */

static bool window_empty(const struct window *window) {
	for (int i = 0; i < WINDOW_MINUTES; i++) {
		if (window->counts[i] != 0)
			return false;
	}
	return true;
}

/* Makes `minute` the newest. */
static void window_slide(struct window *window, int64_t minute) {
	const int64_t by = minute - window->minute;
	for (int64_t i = WINDOW_MINUTES - 1; i >= 0; i--)
		window->counts[i] = by > 0 && i >= by ? window->counts[i - by] : 0;
	window->minute = minute;
}

void window_add(struct window *window, sofun_bytes time, int64_t count) {
	int64_t minute = minute_of(time);
	if (minute < 0)
		minute = window->minute;
	if (minute > window->minute || window->minute - minute >= WINDOW_MINUTES || window_empty(window))
		window_slide(window, minute);
	int64_t *place = &window->counts[window->minute - minute];
	if (__builtin_add_overflow(*place, count, place))
		*place = INT64_MAX;
}

int64_t window_score(const struct window *window) {
	int64_t score = 0;
	for (int i = 0; i < WINDOW_MINUTES; i++) {
		int64_t weighed;
		if (__builtin_mul_overflow(window->counts[i], WINDOW_MINUTES - i, &weighed) ||
			__builtin_add_overflow(score, weighed, &score))
			return INT64_MAX;
	}
	return score;
}
