/* How many bytes of journal each untrimmed epoch takes: a queue, filled by the committer, emptied by the applier. */
#include "state/journal/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { MARKS_FIRST = 1024 };

/* Moves the queue to the front when that frees half of the room, so that each mark is moved once on average. */
static void marks_make_room(struct journal_marks *marks) {
	if (marks->capacity > 0 && marks->start >= marks->capacity / 2) {
		memmove(marks->bytes, marks->bytes + marks->start, marks->count * sizeof *marks->bytes);
		marks->start = 0;
		return;
	}
	marks->capacity = marks->capacity == 0 ? MARKS_FIRST : marks->capacity * 2;
	marks->bytes = realloc(marks->bytes, marks->capacity * sizeof *marks->bytes);
	check_memory(marks->bytes);
}

void journal_marks_add(struct journal_marks *marks, uint64_t epoch, uint64_t bytes) {
	if (marks->count == 0)
		marks->first = epoch;
	check(epoch == marks->first + marks->count);
	if (marks->start + marks->count == marks->capacity)
		marks_make_room(marks);
	marks->bytes[marks->start + marks->count] = bytes;
	marks->count++;
	marks->total += bytes;
}

void journal_marks_trim(struct journal_marks *marks, uint64_t epoch) {
	while (marks->count > 0 && marks->first <= epoch) {
		marks->total -= marks->bytes[marks->start];
		marks->start++;
		marks->first++;
		marks->count--;
	}
}
