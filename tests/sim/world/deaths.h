/* Deaths in plugin code, as the supervisor would judge them: a message that always kills its host, now and then an innocent
 * one that is taken for the culprit, and a crash file whose last changes may be lost. */
#ifndef TESTS_SIM_DEATHS_H
#define TESTS_SIM_DEATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "sofun/plugin.h"

/* No crash is known; before a run. */
void deaths_forget(void);

/* A worker begins: its notes are empty. */
void deaths_life_begins(uint32_t shards);

/* The worker has died, of whatever: what it turned in the table since the last death may not have been saved. */
void deaths_life_ends(bool saved);

/* Enters the death of the call that a shard is in with this message. */
void deaths_of(const sofun_message *message, const uint8_t *image_hash);

/* True if nothing else runs beside this call. */
bool deaths_alone(const sofun_message *message);

#endif
