/* libFuzzer target: any bytes as a configuration file and as the value of --set. Kept inputs: corpus/yaml. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_one(const uint8_t *data, size_t size) {
	struct config config;
	struct error error;
	config_init(&config);
	char *text = check_alloc(1, size + 1);
	memcpy(text, data, size);
	config_yaml_set(&config, text, &error);
	free(text);
	config_finish(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct config config;
	struct error error = {0};
	config_init(&config);
	bool good = config_yaml_file(&config, "fuzz.yaml", bytes_of(data, size), &error);
	check(good == (error.code == ERROR_NONE));
	check(config.shards >= 1 && config.nesting >= 1 && config.retry_attempts >= 1);
	config_finish(&config);
	if (size > 0)
		set_one(data, size);
	return 0;
}
