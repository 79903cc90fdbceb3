#include "ingress/method.h"

#include "door/access.h"

/* clang-format off */
#define METHOD(name, right) {#name, sizeof #name - 1, right, method_##name}
/* clang-format on */

/* The most frequent first. */
static const struct method methods[] = {
	METHOD(call, RIGHT_CALL),
	METHOD(ingest, RIGHT_INGEST),
	METHOD(send, RIGHT_CALL),
	METHOD(subscribe, RIGHT_SUBSCRIBE),
	METHOD(ack, RIGHT_SUBSCRIBE),
	METHOD(auth, 0),
};

const struct method *method_find(struct bytes name) {
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (name.size == methods[i].size && bytes_same(name.data, (const uint8_t *)methods[i].name, name.size))
			return &methods[i];
	return NULL;
}

void method_unknown(struct bytes name, struct error *error) {
	error_set(error, ERROR_UNKNOWN_METHOD, "there is no such method");
	error_found_text(error, name.data, name.size);
	error_advise(error, "ingest, send, call, subscribe, ack or auth", "methods are called [0,msgid,method,[{…}]]");
}
