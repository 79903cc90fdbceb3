#include "supervisor/inquest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void cause_write(int status, const struct fault *fault, struct crash_row *death) {
	char *text = death->cause;
	size_t size = sizeof death->cause;
	if (fault->cause == FAULT_CPU || fault->cause == FAULT_WALL)
		snprintf(text, size, "%llu ms of %s time", (unsigned long long)fault->limit_ms,
			fault->cause == FAULT_CPU ? "CPU" : "wall");
	else if (fault->cause == FAULT_EXIT)
		snprintf(text, size, "exit(%d)", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	else if (WIFSIGNALED(status))
		snprintf(text, size, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, size, "exit code %d", WEXITSTATUS(status));
}

static void image_write(const struct notes *notes, uint32_t image, struct crash_row *death) {
	if (image == NOTE_IMAGE_NONE || image >= NOTE_IMAGES_MAX)
		return;
	memcpy(death->hash, notes->images[image].hash, sizeof death->hash);
	memcpy(death->plugin, notes->images[image].name, sizeof death->plugin);
	memcpy(death->version, notes->images[image].version, sizeof death->version);
}

/* What an image did while it came or went. A fini leaves nothing behind that could be tried again. */
static void outcome_of_image(uint32_t kind, struct crash_row *death) {
	death->kind = kind;
	atomic_store(&death->outcome, kind == NOTE_LOAD ? CRASH_LOADING : CRASH_IMAGE);
}

/* Work of an operation is not run again by itself, so there is no message to suspect: the image has died once more. */
static void outcome_of_work(const struct fault *fault, struct crash_row *death) {
	outcome_of_image(NOTE_WORK, death);
	memcpy(death->name, fault->name, fault->name_size < sizeof death->name ? fault->name_size : sizeof death->name - 1);
	memcpy(death->id, fault->id, fault->id_size);
	death->id_size = fault->id_size;
	death->payload_hash = fault->payload_hash;
}

/* Nothing else ran: it was the suspect that was tried, whatever it did. */
static void suspect_write(const struct crash_row *suspect, uint64_t place, struct crash_row *death) {
	struct crash_row facts = *death;
	*death = *suspect;
	death->place = place;
	death->count = facts.count;
	death->alone = 1;
	death->first_ms = facts.first_ms;
	death->last_ms = facts.last_ms;
	memcpy(death->cause, facts.cause, sizeof death->cause);
	atomic_store(&death->outcome, CRASH_SUSPECT);
}

/* No last words: it called _exit, or died in the middle of them. If just one thread was in a call, it was that one. */
static void judge_by_notes(
	int status, const struct notes *notes, const struct crash_table *table, struct crash_row *death) {
	const struct note *only = NULL;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		atomic_store(&death->outcome, CRASH_OUTSIDE);
		return;
	}
	for (uint32_t i = 0; i < NOTE_PLACES; i++) {
		uint32_t kind = atomic_load(&notes->notes[i].kind);
		if (kind == NOTE_NOTHING || (kind & NOTE_LEFT) != 0)
			continue;
		if (only != NULL)
			return;
		only = &notes->notes[i];
	}
	if (only == NULL)
		return;
	if (only->alone > 0 && only->alone <= atomic_load(&table->count)) {
		suspect_write(&table->rows[only->alone - 1], only->place, death);
		return;
	}
	image_write(notes, only->image, death);
	outcome_of_image(atomic_load(&only->kind), death);
}

static void judge_by_fault(const struct fault *fault, const struct notes *notes, struct crash_row *death) {
	uint32_t kind = fault->kind & ~(uint32_t)NOTE_LEFT;
	if (!fault->noted) { /* a thread of a plugin's own, if any */
		image_write(notes, fault->code_image, death);
		if (fault->code_image != NOTE_IMAGE_NONE)
			outcome_of_image(NOTE_NOTHING, death);
		return;
	}
	if (kind == NOTE_NOTHING || fault->image == NOTE_IMAGE_NONE)
		return;
	image_write(notes, fault->image, death);
	if (kind == NOTE_LOAD || kind == NOTE_FINI) {
		outcome_of_image(kind, death);
		return;
	}
	if (kind == NOTE_WORK) {
		outcome_of_work(fault, death);
		return;
	}
	death->kind = kind;
	memcpy(death->name, fault->name, fault->name_size < sizeof death->name ? fault->name_size : sizeof death->name - 1);
	memcpy(death->id, fault->id, fault->id_size);
	death->id_size = fault->id_size;
	death->payload_hash = fault->payload_hash;
	death->alone = fault->alone;
	death->place = fault->place;
	atomic_store(&death->outcome, CRASH_SUSPECT);
}

void inquest(int status, const struct fault *fault, const struct notes *notes, const struct crash_table *table,
	uint64_t time_ms, struct crash_row *ret_death) {
	*ret_death = (struct crash_row){.count = 1, .first_ms = time_ms, .last_ms = time_ms};
	atomic_store(&ret_death->outcome, CRASH_UNATTRIBUTED);
	cause_write(status, fault, ret_death);
	if (!atomic_load(&fault->complete))
		judge_by_notes(status, notes, table, ret_death);
	else if (fault->cause == FAULT_OUTSIDE)
		atomic_store(&ret_death->outcome, CRASH_OUTSIDE);
	else
		judge_by_fault(fault, notes, ret_death);
}
