/* What must come of a record, or of a message with a key: counted before anything runs. */
#include "program_inside.h"

/* Each comes back once. */
static void operations_expect(struct program_model *model, uint64_t number) {
	model->counts[deed_instance(number)] += node_operations_of(number);
	model->operations += node_operations_of(number);
}

static void message_expect(struct program_model *model, uint64_t number, uint32_t depth) {
	struct deed deed = deed_of(number, depth);
	model->messages++;
	if (deed.fail_times == FAILS_ALWAYS || deed.poison) {
		model->dead++;
		return;
	}
	model->counts[deed_instance(number)]++;
	if (deed.emits) {
		model->emitted++;
		model->emitted_sum += number;
	}
	for (uint32_t child = 0; child < deed.children; child++)
		message_expect(model, deed_child(number, child), depth + 1);
	model->counts[deed_instance(number)] += deed.alarms + deed.regrets; /* the cancellation, the second timer */
	model->messages += deed.alarms + deed.regrets;
	model->idled += deed.idles;
	operations_expect(model, number);
}

void program_expect(struct program_model *model, uint64_t seed, uint32_t producer, uint64_t sequence) {
	message_expect(model, deed_record(seed, producer, sequence), 0);
}

/* A message with an idempotency key has no children, but may go on; where it dies nothing follows. */
void program_keyed_expect(struct program_model *model, uint64_t number, uint32_t hops) {
	struct deed deed = deed_of(number, PROGRAM_DEPTH);
	model->messages++;
	if (deed.fail_times == FAILS_ALWAYS || deed.poison) {
		model->dead++;
		return;
	}
	model->counts[deed_instance(number)]++;
	model->emitted += deed.emits ? 1 : 0;
	model->emitted_sum += deed.emits ? number : 0;
	model->idled += deed.idles;
	operations_expect(model, number);
	if (hops > 0)
		program_keyed_expect(model, deed_child(number, 0), hops - 1);
}

uint64_t program_keyed_last(uint64_t number, uint32_t hops) {
	return hops == 0 ? number : program_keyed_last(deed_child(number, 0), hops - 1);
}

void program_keyed_id(char id[8], uint64_t number) {
	program_id(id, deed_instance(number));
}
