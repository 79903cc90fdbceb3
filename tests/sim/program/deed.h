/* What a message of the simulated program does: all of it follows from its number. No code outside of this folder should
 * include this file. */
#ifndef TESTS_SIM_DEED_H
#define TESTS_SIM_DEED_H

#include <stdbool.h>
#include <stdint.h>

enum { FAILS_ALWAYS = 99 }; /* attempts */

struct deed {
	uint32_t children;
	bool emits;
	uint32_t fail_times; /* attempts that fail before one succeeds */
	uint32_t delay_ms;   /* of its children: 0: they are sent at once */
	bool alarms;         /* sets a timer that is cancelled by a message to itself before it can be due */
	bool poison;         /* the host dies of it, always */
	bool idles;          /* sends a message to an instance that expires */
	bool regrets;        /* sets a timer and cancels it in the same call, then sets it again */
};

struct deed deed_of(uint64_t number, uint32_t depth);

/* The numbers of what follows from it, and the instance that it goes to. */
uint64_t deed_child(uint64_t number, uint32_t child);
uint64_t deed_record(uint64_t seed, uint32_t producer, uint64_t sequence);
uint32_t deed_instance(uint64_t number);

#endif
