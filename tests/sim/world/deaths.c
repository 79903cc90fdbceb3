#include "deaths.h"

#include <string.h>

#include "base/check.h"
#include "supervisor/crash.h"

static struct crash_table saved_table;

void deaths_forget(void) {
	memset(crash_current(), 0, sizeof *crash_current());
	memset(&saved_table, 0, sizeof saved_table);
}

void deaths_life_begins(uint32_t shards) {
	memset(notes_current()->notes, 0, shards * sizeof notes_current()->notes[0]);
}

void deaths_life_ends(bool saved) {
	if (saved)
		saved_table = *crash_current();
	else
		*crash_current() = saved_table;
}

static const struct note *note_of_message(const sofun_message *message) {
	for (uint32_t i = 0; i < NOTE_PLACES; i++)
		if (note_of(i)->what == message && atomic_load(&note_of(i)->kind) == NOTE_FUNCTION)
			return note_of(i);
	check(false);
	return NULL;
}

bool deaths_alone(const sofun_message *message) {
	return note_of_message(message)->alone != 0;
}

/* A conviction never loops: while a row says convicted, no message of its key is run among others. */
static void conviction_check(const struct crash_row *death) {
	const struct crash_table *table = crash_current();
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		const struct crash_row *row = &table->rows[i];
		bool key = memcmp(row->hash, death->hash, sizeof row->hash) == 0 && row->payload_hash == death->payload_hash &&
			strcmp(row->name, death->name) == 0 && bytes_equal(crash_row_id(row), crash_row_id(death));
		check(!key || death->alone != 0 || !crash_row_is(row, CRASH_CONVICTED));
	}
}

void deaths_of(const sofun_message *message, const uint8_t *image_hash) {
	const struct note *note = note_of_message(message);
	struct crash_row death = {.kind = NOTE_FUNCTION, .count = 1, .alone = note->alone != 0};
	death.place = death.alone != 0 ? note->place : 0;
	atomic_store(&death.outcome, CRASH_SUSPECT);
	memcpy(death.hash, image_hash, sizeof death.hash);
	memcpy(death.name, message->self.type.data, message->self.type.size);
	memcpy(death.id, message->self.id.data, message->self.id.size);
	death.id_size = (uint32_t)message->self.id.size;
	death.payload_hash = fault_payload_hash(bytes_of(message->payload.data, message->payload.size));
	strcpy(death.cause, "SIGSEGV");
	conviction_check(&death);
	crash_enter(crash_current(), &death);
	saved_table = *crash_current(); /* the supervisor saves each death before it starts another worker */
}
