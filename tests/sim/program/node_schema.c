/* The other schema of the program's function, and the way there and back. */
#include "base/check.h"
#include "program_inside.h"
#include "wire/cursor.h"
#include "wire/pack.h"

static int value_migrate(sofun_context *context, uint32_t value, bool up) {
	sofun_bytes bytes;
	struct buf packed = {0};
	uint64_t count;
	int status = context->host->state_get(context, value, &bytes);
	if (status != SOFUN_OK || bytes.size == 0)
		return status;
	if (value == VALUE_COUNT) {
		struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
		check(cursor_read_uint(&cursor, &count));
		pack_uint(&packed, up ? count + PROGRAM_COUNT_2 : count - PROGRAM_COUNT_2);
		bytes = (sofun_bytes){packed.data, packed.size};
	}
	if (value == VALUE_SCRAP)
		return SOFUN_OK;
	uint32_t to = value == VALUE_TABLE ? VALUE_TABLE_2 : value == VALUE_TABLE_2 ? VALUE_TABLE : value;
	status = context->host->state_set(context, to, bytes);
	buf_finish(&packed);
	return status;
}

static int node_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	(void)plugin_data;
	for (uint32_t value = 0; value < PROGRAM_VALUES; value++) {
		if (value_migrate(context, value, migration->to == 2) != SOFUN_OK)
			return 1;
	}
	program_inside();
	return 0;
}

static const sofun_schema schema_1 = {sizeof schema_1, 1, SOFUN_SCHEMA_BOTH, PROGRAM_VALUES, node_values};
static const sofun_schema *const schemas[] = {&schema_1, NULL};

const sofun_function program_function_2 = {
	.size = sizeof program_function_2,
	.schema = 2,
	.type = "sim/node",
	.values = node_values,
	.value_count = PROGRAM_VALUES,
	.invoke = node_invoke,
	.schemas = schemas,
	.migrate = node_migrate,
	.work = node_work,
	.on_result = node_result,
};
