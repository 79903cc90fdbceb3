/* A sink's thread: does one job after the other, again and again until it is done. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "base/log.h"
#include "egress/record.h"
#include "egress/sink_inside.h"
#include "wire/json.h"

void sink_line(struct buf *lines, const struct egress_batch *batch, size_t i, uint64_t skipped) {
	json_t *json = record_json(batch->first + i, egress_batch_map(batch, i));
	if (skipped > 0)
		check(json_object_set_new(json, "skipped", json_integer((json_int_t)skipped)) == 0);
	json_to_text(json, lines);
	json_decref(json);
	buf_append_u8(lines, '\n');
}

static enum sink_result job_try(struct sink_target *target, struct sink_job *job) {
	struct sink_mark recorded = job->mark;
	if (job->opens)
		return target->ops->open(target, job->known ? &recorded : NULL, &job->mark, &job->error);
	return target->ops->write(target, &job->batch, job->skipped, &job->count, &job->mark, &job->error);
}

/* False: it is time to stop. */
static bool pause_make(const struct sink_target *target) {
	struct pollfd stop = {.fd = target->stop_fd, .events = POLLIN};
	int ready;
	do
		ready = poll(&stop, 1, SINK_RETRY_MS);
	while (ready < 0 && errno == EINTR);
	return ready == 0;
}

/* False: it is time to stop. A failure that lasts is told once. */
static bool job_do(struct sink_target *target, struct sink_job *job) {
	char told[ERROR_MESSAGE_BYTES] = "";
	for (;;) {
		job->error = (struct error){0};
		job->result = job_try(target, job);
		if (job->result == SINK_STOP)
			return false;
		if (job->result != SINK_AGAIN)
			return true;
		if (strcmp(told, job->error.message) != 0)
			log_event(LOG_ERROR, "sink_waits", "egress=%s reason=\"%s\"", target->egress, job->error.message);
		memcpy(told, job->error.message, sizeof told);
		if (!pause_make(target))
			return false;
	}
}

static void *thread_main(void *arg) {
	struct sink_thread *thread = arg;
	pthread_mutex_lock(&thread->mutex);
	for (bool going = true; going;) {
		while (thread->job == NULL && !thread->stopping)
			pthread_cond_wait(&thread->asked, &thread->mutex);
		struct sink_job *job = thread->job;
		if (thread->stopping)
			break;
		pthread_mutex_unlock(&thread->mutex);
		going = job_do(thread->target, job);
		pthread_mutex_lock(&thread->mutex);
		thread->job = NULL;
		thread->done = going ? job : NULL;
		if (going)
			check(eventfd_write(thread->done_fd, 1) == 0);
	}
	pthread_mutex_unlock(&thread->mutex);
	return NULL;
}

void sink_thread_start(struct sink_thread *thread) {
	sigset_t all, before;
	pthread_mutex_init(&thread->mutex, NULL);
	pthread_cond_init(&thread->asked, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the loop thread */
	check(pthread_create(&thread->thread, NULL, thread_main, thread) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(thread->thread, "sink");
}

void sink_thread_ask(struct sink_thread *thread, struct sink_job *job) {
	pthread_mutex_lock(&thread->mutex);
	check(thread->job == NULL && thread->done == NULL);
	thread->job = job;
	pthread_cond_signal(&thread->asked);
	pthread_mutex_unlock(&thread->mutex);
}

struct sink_job *sink_thread_take(struct sink_thread *thread) {
	pthread_mutex_lock(&thread->mutex);
	struct sink_job *done = thread->done;
	thread->done = NULL;
	pthread_mutex_unlock(&thread->mutex);
	return done;
}

void sink_thread_stop(struct sink_thread *thread) {
	pthread_mutex_lock(&thread->mutex);
	thread->stopping = true;
	pthread_cond_signal(&thread->asked);
	pthread_mutex_unlock(&thread->mutex);
	pthread_join(thread->thread, NULL);
	thread->target->ops->close(thread->target);
}
