#include "config/kept.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "config/inside.h"

struct kept_values {
	uint64_t given; /* a bit a setting, by its place in the table */
	uint64_t values[CONFIG_SETTINGS_MAX];
};

struct config_kept {
	struct kept_values slots[2];
	uint32_t crcs[2];
	_Atomic uint32_t current;
};

_Static_assert(CONFIG_SETTINGS_MAX <= 64, "a bit a setting");

struct config_kept *config_kept_create(void) {
	struct config_kept *kept = mmap(NULL, sizeof *kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check_memory(kept == MAP_FAILED ? NULL : kept);
	kept->crcs[0] = crc32c(0, &kept->slots[0], sizeof kept->slots[0]);
	return kept;
}

void config_kept_destroy(struct config_kept *kept) {
	if (kept != NULL)
		munmap(kept, sizeof *kept);
}

/* Settings that may change while the host runs are numbers of one size or another. */
static uint64_t value_get(const struct config *config, const struct setting *setting) {
	const void *field = (const char *)config + setting->offset;
	if (setting->kind == SETTING_POLICY)
		return *(const bool *)field;
	if (setting->kind == SETTING_U64 || setting->kind == SETTING_BYTES)
		return *(const _Atomic uint64_t *)field;
	return *(const _Atomic uint32_t *)field;
}

static void value_put(struct config *config, const struct setting *setting, uint64_t value) {
	void *field = (char *)config + setting->offset;
	if (setting->kind == SETTING_POLICY)
		*(bool *)field = value != 0;
	else if (setting->kind == SETTING_U64 || setting->kind == SETTING_BYTES)
		*(_Atomic uint64_t *)field = value;
	else
		*(_Atomic uint32_t *)field = (uint32_t)value;
}

void config_kept_put(struct config_kept *kept, const struct config *config) {
	uint32_t next = 1 - atomic_load(&kept->current);
	struct kept_values *values = &kept->slots[next];
	memset(values, 0, sizeof *values);
	for (size_t i = 0; i < config_setting_count; i++) {
		if (config->sources[i] != CONFIG_REQUEST)
			continue;
		check(config_settings[i].live);
		values->given |= UINT64_C(1) << i;
		values->values[i] = value_get(config, &config_settings[i]);
	}
	kept->crcs[next] = crc32c(0, values, sizeof *values);
	atomic_store(&kept->current, next);
}

size_t config_kept_take(const struct config_kept *kept, struct config *config) {
	uint32_t current = atomic_load(&kept->current) & 1;
	const struct kept_values *values = &kept->slots[current];
	size_t count = 0;
	if (crc32c(0, values, sizeof *values) != kept->crcs[current])
		return 0; /* a plugin that wrote where it likes */
	for (size_t i = 0; i < config_setting_count; i++) {
		if ((values->given >> i & 1) == 0 || !config_settings[i].live)
			continue;
		value_put(config, &config_settings[i], values->values[i]);
		config->sources[i] = CONFIG_REQUEST;
		count++;
	}
	return count;
}
