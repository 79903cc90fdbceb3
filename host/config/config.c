/* The command line and the order of precedence: flag > --set > file > default. Used by main.c, before any thread. */
#include "config/config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/near.h"
#include "config/inside.h"
#include "limits.h"
#include "state/disk.h"

/* The CPUs this process may run on, which may be fewer than the machine has. */
static uint32_t shards_default(void) {
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	int count = CPU_COUNT(&cpus);
	return count < 1 ? 1 : count > SHARDS_MAX ? SHARDS_MAX : (uint32_t)count;
}

void config_init(struct config *config) {
	*config = (struct config){
		.data = check_strdup("./sofun-data"),
		.shards = shards_default(),
		.durability = DURABILITY_SYNC,
		.retry_attempts = 5,
		.retry_backoff_ms = 10,
		.retry_factor = 4,
		.retry_backoff_ms_max = 1000,
		.retry_block_ms_max = 60000,
		.stage_patience_ms = 2000,
		.message_bytes = MIB(1),
		.value_bytes = MIB(1),
		.frame_bytes = MIB(16),
		.nesting = 64,
		.memory_bytes = MIB(512),
		.invocation_warn_ms = 10,
		.invocation_cpu_ms = 10000,
		.operations_threads = 4,
		.operations_pending_max = 100000,
		.operations_limit_ms = 600000,
		.crash_probation_ms = 60000,
		.rollback_error_percent = 10,
		.rollback_messages_min = 20,
		.egress_retention_bytes = MIB(1024),
		.egress_retention_s = 604800,
		.producer_expiry_s = 604800,
		.idempotency_expiry_s = 86400,
		.idempotency_keys_max = 10000000,
		.call_timeout_ms = 30000,
		.log_level = LOG_INFO,
		.log_format = LOG_TEXT,
		.log_lines_per_second = 100,
	};
}

/* What the command line says, before any of it is applied. */
struct flags {
	const char *data;
	const char *plugins;
	const char *config;
	const char **sets;
	size_t set_count;
	const char *test_clock;
	bool keep_images;
	bool accept_clock;
	bool core_dumps;
};

/* Those that take a value come first. */
enum {
	FLAG_DATA,
	FLAG_PLUGINS,
	FLAG_CONFIG,
	FLAG_SET,
	FLAG_TEST_CLOCK,
	FLAGS_VALUED,
	FLAG_KEEP_IMAGES = FLAGS_VALUED,
	FLAG_ACCEPT_CLOCK,
	FLAG_CORE_DUMPS,
};

static const char *const flag_names[] = {[FLAG_DATA] = "--data",
	[FLAG_PLUGINS] = "--plugins",
	[FLAG_CONFIG] = "--config",
	[FLAG_SET] = "--set",
	[FLAG_TEST_CLOCK] = "--test-clock",
	[FLAG_KEEP_IMAGES] = "--keep-images",
	[FLAG_CORE_DUMPS] = "--core-dumps",
	[FLAG_ACCEPT_CLOCK] = "--accept-clock"};

static bool flag_refuse(const char *flag, struct error *error) {
	error_set(error, ERROR_BAD_REQUEST, "%s %.200s", flag[0] == '-' ? "unknown flag" : "unexpected argument", flag);
	error_found(error, "%.200s", flag);
	error_expected(error, "a flag of sofund");
	size_t size = strcspn(flag, "=");
	char name[32] = {0};
	if (size < sizeof name)
		memcpy(name, flag, size);
	struct near near = near_begin(bytes_text(name));
	for (size_t i = 0; name[0] == '-' && i < sizeof flag_names / sizeof flag_names[0]; i++)
		near_offer(&near, flag_names[i]);
	if (near.best[0] != '\0')
		error_hint(error, "did you mean %s?", near.best);
	else
		error_hint(error, "sofund --help lists the flags");
	return false;
}

/* True if argv[*index] is `name`; its value is behind '=' or the next argument. A missing value leaves NULL. */
static bool flag_value(int argc, char *const argv[], int *index, const char *name, const char **ret_value) {
	const char *argument = argv[*index];
	size_t size = strlen(name);
	if (strncmp(argument, name, size) != 0 || (argument[size] != '\0' && argument[size] != '='))
		return false;
	if (argument[size] == '=')
		*ret_value = argument + size + 1;
	else
		*ret_value = *index + 1 < argc ? argv[++*index] : NULL;
	return true;
}

static void flag_store(struct flags *flags, size_t which, const char *value) {
	switch (which) {
	case FLAG_DATA:
		flags->data = value;
		break;
	case FLAG_PLUGINS:
		flags->plugins = value;
		break;
	case FLAG_CONFIG:
		flags->config = value;
		break;
	case FLAG_SET:
		flags->sets[flags->set_count++] = value;
		break;
	default:
		flags->test_clock = value;
		break;
	}
}

static bool flag_read(struct flags *flags, int argc, char *const argv[], int *index, struct error *error) {
	const char *flag = argv[*index], *value = NULL;
	if (strcmp(flag, flag_names[FLAG_KEEP_IMAGES]) == 0) {
		flags->keep_images = true;
		return true;
	}
	if (strcmp(flag, flag_names[FLAG_CORE_DUMPS]) == 0) {
		flags->core_dumps = true;
		return true;
	}
	if (strcmp(flag, flag_names[FLAG_ACCEPT_CLOCK]) == 0) {
		flags->accept_clock = true;
		return true;
	}
	for (size_t i = 0; i < FLAGS_VALUED; i++) {
		if (!flag_value(argc, argv, index, flag_names[i], &value))
			continue;
		if (value != NULL && value[0] != '\0') {
			flag_store(flags, i, value);
			return true;
		}
		error_set(error, ERROR_BAD_REQUEST, "%s needs a value", flag_names[i]);
		error_found(error, "%s", value == NULL ? "the end of the arguments" : "an empty one");
		error_advise(error, "a value behind it, as in --data DIR or --data=DIR", "sofund --help shows which");
		return false;
	}
	return flag_refuse(flag, error);
}

static bool clock_apply(struct config *config, const char *text, struct error *error) {
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0') {
		error_set(error, ERROR_BAD_REQUEST, "--test-clock takes milliseconds since 1970");
		error_found(error, "%.200s", text);
		return error_advise(error, "a whole number", "1700000000000 is in November 2023");
	}
	config->test_clock = true;
	config->test_clock_ms = number;
	return true;
}

static void text_replace(char **place, const char *text) {
	free(*place);
	*place = check_strdup(text);
}

/* <data>/sofun.yaml may be absent; a file that was named may not. */
static bool file_apply(struct config *config, const char *named, struct error *error) {
	struct buf path = {0}, content = {0};
	buf_printf(&path, "%s", named != NULL ? named : config->data);
	if (named == NULL)
		buf_printf(&path, "/sofun.yaml");
	int result = disk_read_all(disk_machine(), (const char *)path.data, &content);
	bool good = true;
	if (result == 0) {
		text_replace(&config->file, (const char *)path.data);
		good = config_yaml_file(config, (const char *)path.data, bytes_buf(&content), error);
	} else if (named != NULL || (result != -ENOENT && result != -ENOTDIR)) {
		good = error_system(error, ERROR_BAD_REQUEST, -result, "cannot read %.300s", (const char *)path.data);
		error_advise(error, "a file that this user may read",
			named != NULL ? "--config names the file" : "make it readable or move it away");
	}
	buf_finish(&path);
	buf_finish(&content);
	return good;
}

bool config_consistent(const struct config *config, struct error *error) {
	if (config->message_bytes <= config->frame_bytes)
		return config_sinks_consistent(config, error);
	error_set(error, ERROR_BAD_REQUEST,
		"limits.message_bytes is above limits.frame_bytes: no frame could carry such a message");
	error_found(error, "%llu", (unsigned long long)config->message_bytes);
	error_expected(error, "at most %llu", (unsigned long long)config->frame_bytes);
	error_hint(error, "raise limits.frame_bytes or lower limits.message_bytes");
	return false;
}

static bool flags_apply(struct config *config, const struct flags *flags, struct error *error) {
	if (flags->data != NULL)
		text_replace(&config->data, flags->data);
	if (!file_apply(config, flags->config, error))
		return false;
	for (size_t i = 0; i < flags->set_count; i++)
		if (!config_yaml_set(config, flags->sets[i], error))
			return false;
	struct buf plugins = {0};
	buf_printf(&plugins, "%s%s", flags->plugins != NULL ? flags->plugins : config->data,
		flags->plugins != NULL ? "" : "/plugins");
	text_replace(&config->plugins, (const char *)plugins.data);
	buf_finish(&plugins);
	config->keep_images = flags->keep_images;
	config->accept_clock = flags->accept_clock;
	config->core_dumps = flags->core_dumps;
	return (flags->test_clock == NULL || clock_apply(config, flags->test_clock, error)) &&
		config_consistent(config, error);
}

bool config_parse(struct config *config, int argc, char *const argv[], struct error *error) {
	struct flags flags = {.sets = check_alloc((size_t)argc + 1, sizeof *flags.sets)};
	bool good = true;
	for (int i = 1; good && i < argc; i++)
		good = flag_read(&flags, argc, argv, &i, error);
	good = good && flags_apply(config, &flags, error);
	free(flags.sets);
	return good;
}

void config_usage(struct buf *text) {
	buf_printf(text,
		"usage: sofund [--data DIR] [--plugins DIR] [--config FILE] [--set key=value]... [--test-clock MS] "
		"[--keep-images] [--accept-clock] [--core-dumps]\n"
		"  --data DIR         state, sockets and images; default ./sofun-data\n"
		"  --plugins DIR      the inbox for plugin files; default <data>/plugins\n"
		"  --config FILE      settings in YAML; default <data>/sofun.yaml if it is there\n"
		"  --set key=value    one setting, the value in YAML's flow style; wins over the file\n"
		"  --test-clock MS    time stands, and moves by POST /v1/clock only\n"
		"  --keep-images      never unmap a plugin's image (for debuggers and sanitizers)\n"
		"  --core-dumps       let a crash leave a core: no other file would tell a debugger as much, none takes as long\n"
		"  --accept-clock     start although the store's time is more than an hour ahead of the system clock\n"
		"settings, with their defaults (why they are so: sofund --settings yaml):\n");
	config_settings_print(text);
}

void config_log_apply(const struct config *config) {
	const struct log_options options = {
		.level = (enum log_level)config->log_level,
		.format = (enum log_format)config->log_format,
		.lines_per_second = config->log_lines_per_second,
	};
	log_configure(&options);
}

void config_finish(struct config *config) {
	free(config->data);
	free(config->plugins);
	free(config->file);
	free(config->tls_certificate);
	free(config->tls_key);
	free(config->auth_tokens);
	config_list_finish(&config->listen_data);
	config_list_finish(&config->listen_http);
	for (size_t i = 0; i < config->ingress_count; i++)
		free(config->ingresses[i].name);
	free(config->ingresses);
	config_sinks_finish(config);
	ttl_rules_finish(&config->ttl);
	*config = (struct config){0};
}
