#include "flow/flow.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"

void output_put(struct buf *outputs, const struct engine_answer *answer) {
	size_t size = (sizeof(struct output) + answer->payload.size + answer->type.size + 7) & ~(size_t)7;
	check(size <= UINT32_MAX);
	struct output output = {
		.size = (uint32_t)size,
		.code = (uint32_t)answer->code,
		.token = answer->token,
		.number = answer->number,
		.accepted = answer->accepted,
		.payload_size = (uint32_t)answer->payload.size,
		.type_size = (uint32_t)answer->type.size,
	};
	buf_reserve(outputs, size);
	size_t end = outputs->size + size;
	buf_append(outputs, &output, sizeof output);
	buf_append_bytes(outputs, answer->payload);
	buf_append_bytes(outputs, answer->type);
	memset(outputs->data + outputs->size, 0, end - outputs->size);
	outputs->size = end;
}

void flow_fail(struct flow *flow, const struct error *error) {
	pthread_mutex_lock(&flow->failure_mutex);
	if (!atomic_load(&flow->failed)) {
		flow->failure = *error;
		char line[1024];
		error_line(error, line, sizeof line);
		log_event(LOG_ERROR, "store_failed", "reason=\"%s\"", line);
		atomic_store(&flow->failed, true);
	}
	pthread_mutex_unlock(&flow->failure_mutex);
	park_wake(&flow->committer_park);
}

int flow_egress(struct flow *flow, struct bytes name) {
	check(name.size <= EGRESS_NAME_BYTES_MAX);
	pthread_mutex_lock(&flow->egress_mutex);
	uint32_t count = atomic_load(&flow->egress_count);
	uint32_t index = 0;
	while (index < count && !bytes_equal(bytes_of(flow->egresses[index].name, flow->egresses[index].name_size), name))
		index++;
	if (index == count && count < EGRESSES_MAX) {
		struct egress *egress = &flow->egresses[index];
		memcpy(egress->name, name.data, name.size);
		egress->name_size = name.size;
		egress->next = store_egress_end(flow->store, name);
		atomic_store(&flow->egress_count, count + 1);
	}
	pthread_mutex_unlock(&flow->egress_mutex);
	return index < EGRESSES_MAX ? (int)index : -1;
}

uint32_t flow_producer_hash(const struct flow *flow, struct bytes ingress, struct bytes producer) {
	return (uint32_t)hash_mix(hash_bytes(flow->hash_seed, ingress.data, ingress.size),
		hash_bytes(flow->hash_seed, producer.data, producer.size));
}
