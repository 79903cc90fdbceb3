/* The layout of ABI 1.x, in numbers: x86-64 and every other LP64 machine. Compiled against the headers of today and
 * against the frozen ones, as C and as C++; a line that does not hold is a plugin that no longer runs. New members go
 * behind these. */
#include <sofun/plugin.h>
#if SOFUN_ABI_MINOR >= 1
#include <sofun/list.h>
#endif

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "sizeof " #type)
#define AT(type, member, offset) static_assert(offsetof(type, member) == (offset), #type "." #member)
#define IS(constant, value) static_assert((constant) == (value), #constant)

SIZE(sofun_bytes, 16);
AT(sofun_bytes, data, 0);
AT(sofun_bytes, size, 8);

SIZE(sofun_buf, 24);
AT(sofun_buf, data, 0);
AT(sofun_buf, size, 8);
AT(sofun_buf, capacity, 16);

SIZE(sofun_address, 32);
AT(sofun_address, type, 0);
AT(sofun_address, id, 16);

SIZE(sofun_context, 8);
AT(sofun_context, host, 0);

SIZE(sofun_host, 104);
AT(sofun_host, size, 0);
AT(sofun_host, abi_major, 4);
AT(sofun_host, abi_minor, 6);
AT(sofun_host, extension, 8);
AT(sofun_host, log, 16);
AT(sofun_host, state_get, 24);
AT(sofun_host, state_set, 32);
AT(sofun_host, state_clear, 40);
AT(sofun_host, send, 48);
AT(sofun_host, reply, 56);
AT(sofun_host, emit, 64);
AT(sofun_host, fail, 72);
AT(sofun_host, buf, 80);
AT(sofun_host, buf_reserve, 88);
AT(sofun_host, time_ms, 96);

SIZE(sofun_value, 32);
AT(sofun_value, name, 0);
AT(sofun_value, kind, 8);
AT(sofun_value, flags, 12);
#if SOFUN_ABI_MINOR == 0
AT(sofun_value, reserved, 16);
#else
AT(sofun_value, expire_after_write_ms, 16);
AT(sofun_value, expire_after_invoke_ms, 24);
#endif

SIZE(sofun_message, 104);
AT(sofun_message, size, 0);
AT(sofun_message, attempt, 4);
AT(sofun_message, self, 8);
AT(sofun_message, caller, 40);
AT(sofun_message, type, 72);
AT(sofun_message, payload, 88);

AT(sofun_function, size, 0);
AT(sofun_function, schema, 4);
AT(sofun_function, type, 8);
AT(sofun_function, values, 16);
AT(sofun_function, value_count, 24);
AT(sofun_function, flags, 28);
AT(sofun_function, invoke, 32);
#if SOFUN_ABI_MINOR == 0
SIZE(sofun_function, 40);
#else
AT(sofun_function, schemas, 40);
AT(sofun_function, migrate, 48);
AT(sofun_function, idle_ttl_ms, 56);
AT(sofun_function, on_expire, 64);
AT(sofun_function, work, 72);
AT(sofun_function, on_result, 80);
SIZE(sofun_function, 88);

SIZE(sofun_work, 96);
AT(sofun_work, size, 0);
AT(sofun_work, flags, 4);
AT(sofun_work, host, 8);
AT(sofun_work, id, 16);
AT(sofun_work, self, 24);
AT(sofun_work, metadata, 56);
AT(sofun_work, result, 72);
AT(sofun_work, fail, 80);
AT(sofun_work, stopping, 88);

SIZE(sofun_result, 104);
AT(sofun_result, size, 0);
AT(sofun_result, attempt, 4);
AT(sofun_result, self, 8);
AT(sofun_result, id, 40);
AT(sofun_result, status, 48);
AT(sofun_result, flags, 52);
AT(sofun_result, metadata, 56);
AT(sofun_result, result, 72);
AT(sofun_result, text, 88);

SIZE(sofun_operation, 24);
AT(sofun_operation, size, 0);
AT(sofun_operation, start, 8);
AT(sofun_operation, complete, 16);

IS(SOFUN_BUSY, -7);
IS(SOFUN_OPERATION_WAIT, 1);
IS(SOFUN_OPERATION_OUTSIDE, 2);
IS(SOFUN_RESULT_SUCCESS, 0);
IS(SOFUN_RESULT_FAILURE, 1);
IS(SOFUN_RESULT_UNKNOWN, 2);
IS(SOFUN_WORK_LATER, 1000);

SIZE(sofun_expiry, 48);
AT(sofun_expiry, size, 0);
AT(sofun_expiry, attempt, 4);
AT(sofun_expiry, self, 8);
AT(sofun_expiry, last_touch_ms, 40);

SIZE(sofun_schema, 24);
AT(sofun_schema, size, 0);
AT(sofun_schema, schema, 4);
AT(sofun_schema, ways, 8);
AT(sofun_schema, value_count, 12);
AT(sofun_schema, values, 16);

SIZE(sofun_migration, 48);
AT(sofun_migration, size, 0);
AT(sofun_migration, flags, 4);
AT(sofun_migration, from, 8);
AT(sofun_migration, to, 12);
AT(sofun_migration, self, 16);

IS(SOFUN_SCHEMA_UP, 1);
IS(SOFUN_SCHEMA_DOWN, 2);
IS(SOFUN_SCHEMA_BOTH, 3);

IS(SOFUN_KIND_TABLE, 5);
IS(SOFUN_KIND_LIST, 6);

SIZE(sofun_tables, 56);
AT(sofun_tables, size, 0);
AT(sofun_tables, get, 8);
AT(sofun_tables, set, 16);
AT(sofun_tables, remove, 24);
AT(sofun_tables, clear, 32);
AT(sofun_tables, open, 40);
AT(sofun_tables, next, 48);

SIZE(sofun_lists, 64);
AT(sofun_lists, size, 0);
AT(sofun_lists, length, 8);
AT(sofun_lists, get, 16);
AT(sofun_lists, append, 24);
AT(sofun_lists, drop, 32);
AT(sofun_lists, clear, 40);
AT(sofun_lists, open, 48);
AT(sofun_lists, next, 56);
#endif

SIZE(sofun_record, 64);
AT(sofun_record, size, 0);
AT(sofun_record, flags, 4);
AT(sofun_record, ingress, 8);
AT(sofun_record, producer, 24);
AT(sofun_record, sequence, 40);
AT(sofun_record, data, 48);

SIZE(sofun_router, 32);
AT(sofun_router, size, 0);
AT(sofun_router, flags, 4);
AT(sofun_router, ingress, 8);
AT(sofun_router, format, 16);
AT(sofun_router, route, 24);

SIZE(sofun_plugin, 72);
AT(sofun_plugin, magic, 0);
AT(sofun_plugin, abi_major, 4);
AT(sofun_plugin, abi_minor, 6);
AT(sofun_plugin, size, 8);
AT(sofun_plugin, flags, 12);
AT(sofun_plugin, name, 16);
AT(sofun_plugin, version, 24);
AT(sofun_plugin, functions, 32);
AT(sofun_plugin, routers, 40);
AT(sofun_plugin, egresses, 48);
AT(sofun_plugin, init, 56);
AT(sofun_plugin, fini, 64);

IS(SOFUN_MAGIC, 0x4e464f53);
IS(SOFUN_ABI_MAJOR, 1);
IS(SOFUN_OK, 0);
IS(SOFUN_BAD_ARGUMENT, -1);
IS(SOFUN_TOO_LARGE, -2);
IS(SOFUN_TOO_DEEP, -3);
IS(SOFUN_NOT_ALLOWED, -4);
IS(SOFUN_STORE, -5);
IS(SOFUN_LOG_DEBUG, 0);
IS(SOFUN_LOG_INFO, 1);
IS(SOFUN_LOG_WARN, 2);
IS(SOFUN_LOG_ERROR, 3);
IS(SOFUN_RAW, 0);
IS(SOFUN_INT, 1);
IS(SOFUN_FLOAT, 2);
IS(SOFUN_STR, 3);
IS(SOFUN_BOOL, 4);
