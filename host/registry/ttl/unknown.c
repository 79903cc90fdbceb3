/* Settings on state that no plugin has ever declared: a name misspelt, or of a plugin that is yet to come. Nobody can tell which, so
 * they are accepted, and shown as long as it is so. */
#include "base/log.h"
#include "registry/inside.h"

static enum ttl_missing rule_misses(const struct registry *registry, const struct ttl_rule *rule) {
	const struct function_type *type = type_find(registry, bytes_text(rule->type));
	if (type == NULL)
		return TTL_TYPE_MISSING;
	return rule->kind == TTL_IDLE || type_value_declared(type, bytes_text(rule->value)) ? TTL_DECLARED
																						: TTL_VALUE_MISSING;
}

const char *ttl_missing_text(enum ttl_missing missing) {
	return missing == TTL_TYPE_MISSING ? "no plugin has declared the function type"
									   : "no version of the function has declared the value";
}

void registry_ttl_undeclared_each(const struct registry *registry,
	void (*each)(void *arg, const struct ttl_rule *rule, enum ttl_missing missing), void *arg) {
	const struct ttl_rules *rules = &registry->options.config->ttl;
	for (size_t i = 0; i < rules->count; i++) {
		enum ttl_missing missing = rule_misses(registry, &rules->items[i]);
		if (missing != TTL_DECLARED)
			each(arg, &rules->items[i], missing);
	}
}

static void undeclared_log(void *arg, const struct ttl_rule *rule, enum ttl_missing missing) {
	struct buf key = {0};
	(void)arg;
	ttl_rule_key(rule, &key);
	buf_append_u8(&key, '\0');
	log_event(
		LOG_WARN, "setting_without_effect", "key=%s why=\"%s\"", (const char *)key.data, ttl_missing_text(missing));
	buf_finish(&key);
}

void ttl_undeclared_tell(const struct registry *registry) {
	registry_ttl_undeclared_each(registry, undeclared_log, NULL);
}
