#include "names.h"

struct names {
	sofun_bytes elements; /* without the array's head */
	uint32_t count;
};

/* True if the name is there, or the set is full and takes no other. */
static bool names_settled(const struct names *names, sofun_bytes name) {
	sofun_reader reader = sofun_reader_of(names->elements);
	sofun_bytes other;
	while (sofun_read_str_or_bin(&reader, &other)) {
		if (sofun_bytes_equal(other, name))
			return true;
	}
	return sofun_read_nil(&reader);
}

/* The set with one more element: the name, or, if that is NULL, the nil that closes it. */
static int names_store(sofun_context *context, uint32_t value, const struct names *names, const sofun_bytes *name) {
	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_array(&writer, names->count + 1);
	sofun_write_raw(&writer, names->elements);
	if (name != NULL)
		sofun_write_str_or_bin(&writer, *name);
	else
		sofun_write_nil(&writer);
	sofun_bytes msgpack;
	const int status = sofun_written(&writer, &msgpack);
	if (status != SOFUN_OK)
		return status;
	if (name != NULL && msgpack.size > NAMES_BYTES_MAX)
		return SOFUN_TOO_LARGE;
	return sofun_set_raw(context, value, msgpack);
}

int names_add(sofun_context *context, uint32_t value, sofun_bytes name, bool *ret_new) {
	struct names names = {{NULL, 0}, 0};
	sofun_bytes msgpack;
	int status = sofun_get_raw(context, value, &msgpack);
	if (status != SOFUN_OK)
		return sofun_fail(context, "names could not be read: %s", sofun_status_text(status));
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size > 0 && !sofun_read_array(&reader, &names.count))
		return sofun_fail(context, "names is no array");
	names.elements = sofun_bytes_of(reader.at, sofun_read_left(&reader));
	*ret_new = false;
	if (names_settled(&names, name))
		return 0;
	status = names_store(context, value, &names, &name);
	*ret_new = status == SOFUN_OK;
	if (status == SOFUN_TOO_LARGE) {
		sofun_log(context, SOFUN_LOG_WARN, "%u names are as many as are kept: users counts no further", names.count);
		status = names_store(context, value, &names, NULL);
	}
	return status == SOFUN_OK ? 0 : sofun_fail(context, "names could not be kept: %s", sofun_status_text(status));
}
