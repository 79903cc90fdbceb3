/* A new version's probation (crash.probation_ms): what exhausts its attempts there waits for the verdict (flow/queue/undecided.c), and
 * the version goes back by itself if it fails more than the one before. The end of the probation is by the flow's clock, so
 * that with --test-clock it comes when the test says so; the comparison is of counts only.
 *
 * What is compared is the share of messages whose first attempt failed: retries of one hopeless message count once. The other
 * side is, while a canary runs, the base in the same time; else the version before, in its life in this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"
#include "wire/json.h"

enum {
	LOOK_MS = 100,
	/* Counts begin anew after so long: a version that turns bad is not covered by how good it was. */
	WINDOW_MS = 10000,
	/* A canary that has so many times messages_min while the base has none is compared with what the base did before. */
	BASE_SILENT_TIMES = 10,
	/* Standard deviations between both shares: chance does that once in tens of thousands of looks. */
	DEVIATIONS = 4,
	PER_WHOLE = 10000,
};

/* ---- who is on probation ---- */

struct verdict *lineage_newcomer(const struct lineage *lineage) {
	return lineage->now.percent > 0 ? lineage->now.canary : lineage->now.base;
}

bool lineage_on_probation(const struct lineage *lineage) {
	return lineage->probation_until_ms > engine_time_ms(lineage->registry->options.engine);
}

uint64_t probation_until(const struct lineage *lineage, const struct verdict *verdict) {
	if (lineage_has(lineage, verdict))
		return verdict == lineage_newcomer(lineage) ? lineage->probation_until_ms : 0;
	return lineage->leaves_undecided && lineage_was(lineage, verdict) ? PROBATION_LEAVING : 0;
}

/* Only what there is a way back from: else waiting for a verdict would help nobody. */
static bool change_tries(const struct lineage *lineage, const struct change *change) {
	const struct share *next = &change->next;
	if (next->percent > 0)
		return true;
	return next->base != NULL && change->previous != NULL && !lineage_has(lineage, next->base);
}

static uint64_t per_whole(struct outcome_count count) {
	return count.messages == 0 ? 0 : count.failed * PER_WHOLE / count.messages;
}

void probation_change(struct lineage *lineage, const struct change *change) {
	const struct registry *registry = lineage->registry;
	const struct verdict *newcomer = lineage_newcomer(lineage);
	bool stays = change->next.base == newcomer || (change->next.percent > 0 && change->next.canary == newcomer);
	uint64_t length_ms = registry->options.config->crash_probation_ms;
	lineage->leaves_undecided = lineage_on_probation(lineage) && !stays;
	lineage->probation_until_ms = 0;
	lineage->judged = false;
	lineage->probation_kept = lineage->other_kept = (struct outcome_count){0};
	lineage->probation_row = lineage->other_row = (struct outcome_count){0};
	if (length_ms == 0 || !change_tries(lineage, change))
		return;
	struct outcome_count before = plugin_outcomes(plugin_of_verdict(registry, lineage->now.base));
	lineage->probation_until_ms = engine_time_ms(registry->options.engine) + length_ms;
	lineage->errors_before = before.messages >= registry->options.config->rollback_messages_min ? per_whole(before) : 0;
}

/* ---- the window ---- */

static struct outcome_count outcomes_since(
	const struct plugin *plugin, struct outcome_count from, struct outcome_count kept) {
	struct outcome_count now = plugin_outcomes(plugin);
	return (struct outcome_count){now.messages - from.messages + kept.messages, now.failed - from.failed + kept.failed};
}

static const struct plugin *other_of(const struct lineage *lineage) {
	return lineage->now.percent > 0 ? plugin_of_verdict(lineage->registry, lineage->now.base) : NULL;
}

static void window_begin(struct lineage *lineage) {
	lineage->probation_from = plugin_outcomes(plugin_of_verdict(lineage->registry, lineage_newcomer(lineage)));
	lineage->other_from = plugin_outcomes(other_of(lineage));
	lineage->window_ms = registry_now_ms();
}

static void window_renew(struct lineage *lineage) {
	lineage->probation_kept = lineage->other_kept = (struct outcome_count){0};
	window_begin(lineage);
}

static bool outcomes_equal(struct outcome_count a, struct outcome_count b) {
	return a.messages == b.messages && a.failed == b.failed;
}

/* Each look: with few addresses all may wait for the verdict, and then nothing more comes that could be counted after a kill. */
static void window_keep(struct lineage *lineage) {
	struct registry *registry = lineage->registry;
	struct error busy;
	struct outcome_count fresh = outcomes_since(
		plugin_of_verdict(registry, lineage_newcomer(lineage)), lineage->probation_from, lineage->probation_kept);
	if (lineage_busy(lineage, &busy) || registry->fencing || outcomes_equal(fresh, lineage->probation_row))
		return;
	lineage->probation_row = fresh;
	lineage->other_row = outcomes_since(other_of(lineage), lineage->other_from, lineage->other_kept);
	lineage_commit(lineage);
}

static void look_later(struct registry *registry) {
	struct timeval delay = {.tv_usec = LOOK_MS * 1000};
	event_add(registry->probation_timer, &delay);
}

void probation_watch(struct lineage *lineage) {
	if (!lineage_on_probation(lineage))
		return;
	window_begin(lineage);
	look_later(lineage->registry);
}

struct undecided_of {
	const struct lineage *lineage;
	uint64_t addresses;
};

static void undecided_count(void *arg, const struct engine_blocked *blocked) {
	struct undecided_of *of = arg;
	const struct function_type *type = type_find(of->lineage->registry, bytes_text(blocked->type));
	of->addresses += type != NULL && strcmp(type->plugin, of->lineage->name) == 0;
}

/* A kill may have come before what failed was in the row; those that wait for the verdict are known all the same. */
void probation_resume(struct lineage *lineage) {
	struct undecided_of of = {.lineage = lineage};
	engine_undecided_each(lineage->registry->options.engine, undecided_count, &of);
	if (lineage_on_probation(lineage) && lineage->probation_kept.failed < of.addresses) {
		lineage->probation_kept.messages += of.addresses - lineage->probation_kept.failed;
		lineage->probation_kept.failed = of.addresses;
	}
	probation_watch(lineage);
}

/* ---- the comparison ---- */

struct comparison {
	struct outcome_count fresh;
	double fresh_share;
	double other_share;
};

/* False: too little is known. */
static bool outcomes_compare(const struct lineage *lineage, struct comparison *ret_comparison) {
	const struct registry *registry = lineage->registry;
	uint64_t messages_min = registry->options.config->rollback_messages_min;
	const struct plugin *fresh = plugin_of_verdict(registry, lineage_newcomer(lineage));
	const struct plugin *other = other_of(lineage);
	ret_comparison->fresh = outcomes_since(fresh, lineage->probation_from, lineage->probation_kept);
	struct outcome_count beside =
		other == NULL ? (struct outcome_count){0} : outcomes_since(other, lineage->other_from, lineage->other_kept);
	if (fresh == NULL || ret_comparison->fresh.messages < messages_min)
		return false;
	if (other != NULL && beside.messages < messages_min &&
		ret_comparison->fresh.messages < BASE_SILENT_TIMES * messages_min)
		return false;
	ret_comparison->fresh_share = (double)ret_comparison->fresh.failed / (double)ret_comparison->fresh.messages;
	ret_comparison->other_share = beside.messages >= messages_min ? (double)beside.failed / (double)beside.messages
																  : (double)lineage->errors_before / PER_WHOLE;
	return true;
}

/* By more points than it may, and by more than chance would have it. */
static bool comparison_condemns(const struct comparison *comparison, uint32_t percent) {
	double excess = comparison->fresh_share - comparison->other_share;
	double middle = (comparison->fresh_share + comparison->other_share) / 2;
	return excess * 100 >= percent &&
		excess * excess * (double)comparison->fresh.messages >= DEVIATIONS * DEVIATIONS * middle * (1 - middle);
}

/* ---- going back ---- */

/* On its way back; what is told once it is durable, or refused. */
struct going_back {
	struct registry *registry;
	struct lineage *lineage;
	struct verdict *from;
	struct verdict *to;
};

void verdict_forgive(struct verdict *verdict) {
	free(verdict->refusal);
	verdict->refusal = NULL;
}

static void verdict_blame(struct verdict *verdict, const struct going_back *back, const struct comparison *comparison) {
	const struct config *config = back->registry->options.config;
	verdict_forgive(verdict);
	verdict->refusal = check_alloc(1, sizeof(*verdict->refusal));
	error_set(verdict->refusal, ERROR_REFUSED, "%s %s failed more than %s: rolled back", verdict->name,
		verdict->version, back->to->version);
	error_found(verdict->refusal, "%llu of %llu messages failed at first (%.1f %%)",
		(unsigned long long)comparison->fresh.failed, (unsigned long long)comparison->fresh.messages,
		comparison->fresh_share * 100);
	error_expected(verdict->refusal, "at most %u points more than the %.1f %% of %s",
		(unsigned)config->rollback_error_percent, comparison->other_share * 100, back->to->version);
	error_hint(verdict->refusal, "repair the plugin; `sofun swap %s %s` tries this version again", verdict->name,
		verdict->version);
}

static void rollback_tell(const struct going_back *back, const char *reason, const struct error *refused) {
	if (refused == NULL)
		log_event(LOG_WARN, "plugin_rollback", "name=%s from=%s to=%s why=\"%s\"", back->from->name,
			back->from->version, back->to->version, reason);
	else
		log_event(LOG_ERROR, "plugin_rollback_refused", "name=%s from=%s to=%s why=\"%s\" refused=\"%s\"",
			back->from->name, back->from->version, back->to->version, reason, refused->message);
	json_t *body = json_pack("{s:s, s:s, s:s, s:o}", "name", back->from->name, "from", back->from->version, "to",
		back->to->version, "reason", json_from_words(bytes_text(reason)));
	if (refused != NULL)
		json_object_set_new(body, "refused", json_from_words(bytes_text(refused->message)));
	events_emit(back->registry->options.events, EVENT_ROLLBACK, body);
}

/* registry_done. If it cannot go back it stays, and nothing else is done: whoever said --no-way-back wanted that. */
static void gone_back(void *arg, const struct registry_plugin *plugin, const struct error *error) {
	struct going_back *back = arg;
	char reason[sizeof(struct error)];
	(void)plugin;
	check(back->from->refusal != NULL);
	snprintf(reason, sizeof(reason), "%s: %s, expected %s", back->from->refusal->message, back->from->refusal->found,
		back->from->refusal->expected);
	if (error == NULL || error->code != ERROR_STOPPING)
		rollback_tell(back, reason, error);
	if (error != NULL)
		verdict_forgive(back->from);
	free(back);
}

static void go_back(struct lineage *lineage, const struct comparison *comparison) {
	static const struct registry_swap order = {.running = true, .deadline_ms = SWAP_DEADLINE_MS};
	bool canary = lineage->now.percent > 0;
	struct error error;
	struct going_back *back = check_alloc(1, sizeof(*back));
	*back = (struct going_back){
		lineage->registry, lineage, lineage_newcomer(lineage), canary ? lineage->now.base : lineage->previous};
	lineage->judged = true;
	verdict_blame(back->from, back, comparison);
	if (!canary)
		lineage_previous_back(lineage, &order, gone_back, back);
	else if (types_read_all(lineage->registry, plugin_of_verdict(lineage->registry, back->to), &error))
		lineage_canary_back(lineage, &order, gone_back, back);
	else
		gone_back(back, NULL, &error);
}

static bool may_go_back(const struct lineage *lineage) {
	struct error busy;
	if (lineage->judged || lineage->registry->stopped || lineage_taken(lineage, &busy))
		return false;
	if (lineage->now.percent > 0)
		return plugin_of_verdict(lineage->registry, lineage->now.base) != NULL;
	return lineage->previous != NULL && lineage->previous->image[0] != '\0';
}

static void lineage_look(struct lineage *lineage) {
	struct comparison comparison;
	uint32_t percent = lineage->registry->options.config->rollback_error_percent;
	if (percent > 0 && may_go_back(lineage) && outcomes_compare(lineage, &comparison) &&
		comparison_condemns(&comparison, percent))
		go_back(lineage, &comparison);
	else if (registry_now_ms() - lineage->window_ms >= WINDOW_MS)
		window_renew(lineage);
	else
		window_keep(lineage);
}

void registry_probation_look(evutil_socket_t fd, short what, void *arg) {
	struct registry *registry = arg;
	bool more = false;
	(void)fd;
	(void)what;
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next) {
		if (!lineage_on_probation(lineage))
			continue;
		lineage_look(lineage);
		more = true;
	}
	if (more && !registry->stopped)
		look_later(registry);
}

/* ---- its end ---- */

void probation_end(struct lineage *lineage, commit_then *then, void *arg) {
	lineage->probation_until_ms = 0;
	registry_publish(lineage->registry);
	lineage_commit_then(lineage, then, arg);
}
