#include "control/read/read.h"

#include <stdlib.h>

#include "base/check.h"
#include "wire/json.h"

static void job_run(void *arg, struct store *store) {
	struct read_job *job = arg;
	job->work(job, store);
	check((job->body != NULL) != (job->error.code != ERROR_NONE));
	if (job->body == NULL)
		return;
	json_to_text(job->body, &job->text);
	buf_append_u8(&job->text, '\n');
	json_decref(job->body);
}

static void job_done(void *arg) {
	struct read_job *job = arg;
	if (job->error.code == ERROR_NONE)
		exchange_bytes(job->exchange, 200, "application/json", bytes_buf(&job->text));
	else
		exchange_error(job->exchange, &job->error);
	if (job->finish != NULL)
		job->finish(job);
	buf_finish(&job->text);
	free(job);
}

void read_start(struct read_job *job) {
	check(job->exchange != NULL && job->work != NULL);
	engine_read(job->exchange->control->engine, job_run, job_done, job);
}

bool read_limit(const struct exchange *exchange, uint64_t *ret_limit, struct error *error) {
	*ret_limit = PAGE_ENTRIES_DEFAULT;
	if (!target_query_number(&exchange->target, "limit", UINT64_MAX, ret_limit, error))
		return false;
	if (*ret_limit == 0) {
		error_set(error, ERROR_BAD_REQUEST, "a limit of 0 asks for nothing");
		error_found(error, "limit=0");
		error_expected(error, "a limit from 1 to %d", PAGE_ENTRIES_MAX);
		error_hint(error, "leave it out for pages of %d", PAGE_ENTRIES_DEFAULT);
		return false;
	}
	if (*ret_limit > PAGE_ENTRIES_MAX)
		*ret_limit = PAGE_ENTRIES_MAX;
	return true;
}

void read_damaged(struct read_job *job, const char *what) {
	error_set(&job->error, ERROR_STORE_FAILED, "%s cannot be read: it is not as the host writes it", what);
	error_hint(&job->error, "stop the host and run sofund --verify on its data directory");
}
