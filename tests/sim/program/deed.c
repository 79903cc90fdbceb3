#include "deed.h"

#include "base/hash.h"
#include "program.h"

struct deed deed_of(uint64_t number, uint32_t depth) {
	uint64_t bits = hash_mix(number, 77);
	struct deed deed = {.children = depth < PROGRAM_DEPTH ? (uint32_t)(bits % 4) : 0, .emits = (bits >> 8) % 4 == 0};
	if ((bits >> 16) % 24 == 0)
		deed.fail_times = 1 + (uint32_t)(bits >> 24) % 3;
	if ((bits >> 32) % 96 == 0)
		deed.fail_times = FAILS_ALWAYS;
	if ((bits >> 40) % 3 == 0)
		deed.delay_ms = (uint32_t)((bits >> 42) % 256);
	deed.alarms = (bits >> 50) % 6 == 0;
	deed.idles = (bits >> 56) % 4 == 0;
	deed.regrets = (bits >> 53) % 8 == 0;
	deed.poison = program_hooks.poison != 0 && hash_mix(number, 78) % program_hooks.poison == 0;
	return deed;
}

uint64_t deed_child(uint64_t number, uint32_t child) {
	return hash_mix(number, child + 1000);
}

uint32_t deed_instance(uint64_t number) {
	return (uint32_t)(hash_mix(number, 5) % program_hooks.instances);
}

uint64_t deed_record(uint64_t seed, uint32_t producer, uint64_t sequence) {
	return hash_mix(seed, sequence * PROGRAM_PRODUCERS + producer);
}
