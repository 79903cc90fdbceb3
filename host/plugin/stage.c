#include "plugin/stage.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "supervisor/fault.h"

/* First in, first out. */
struct jobs {
	struct stage_job *first;
	struct stage_job **end;
};

struct stage {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t arrived;
	bool stopping;       /* GUARDED_BY mutex */
	struct jobs waiting; /* GUARDED_BY mutex */
	struct jobs back;    /* GUARDED_BY mutex */
	int fd;              /* eventfd: back is not empty */
	bool stopped;        /* [loop] */
};

static void jobs_append(struct jobs *jobs, struct stage_job *job) {
	job->next = NULL;
	*jobs->end = job;
	jobs->end = &job->next;
}

static struct stage_job *jobs_take(struct jobs *jobs) {
	struct stage_job *job = jobs->first;
	if (job == NULL)
		return NULL;
	jobs->first = job->next;
	if (jobs->first == NULL)
		jobs->end = &jobs->first;
	return job;
}

/* NULL: the stage is stopping. */
static struct stage_job *stage_next(struct stage *stage) {
	pthread_mutex_lock(&stage->mutex);
	while (!stage->stopping && stage->waiting.first == NULL)
		pthread_cond_wait(&stage->arrived, &stage->mutex);
	struct stage_job *job = stage->stopping ? NULL : jobs_take(&stage->waiting);
	pthread_mutex_unlock(&stage->mutex);
	return job;
}

static void stage_hand_back(struct stage *stage, struct stage_job *job) {
	uint64_t one = 1;
	pthread_mutex_lock(&stage->mutex);
	jobs_append(&stage->back, job);
	pthread_mutex_unlock(&stage->mutex);
	check(write(stage->fd, &one, sizeof(one)) == sizeof(one));
}

static void *stage_run(void *arg) {
	struct stage *stage = arg;
	struct stage_job *job;
	pthread_setname_np(pthread_self(), "stager");
	fault_thread_begin(NOTE_PLACE_STAGER);
	while ((job = stage_next(stage)) != NULL) {
		job->run(job);
		stage_hand_back(stage, job);
	}
	fault_thread_end();
	return NULL;
}

struct stage *stage_create(void) {
	struct stage *stage = check_alloc(1, sizeof(*stage));
	stage->waiting.end = &stage->waiting.first;
	stage->back.end = &stage->back.first;
	pthread_mutex_init(&stage->mutex, NULL);
	pthread_cond_init(&stage->arrived, NULL);
	stage->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	check(stage->fd >= 0);
	check(pthread_create(&stage->thread, NULL, stage_run, stage) == 0);
	return stage;
}

int stage_fd(const struct stage *stage) {
	return stage->fd;
}

void stage_submit(struct stage *stage, struct stage_job *job) {
	check(!stage->stopped);
	pthread_mutex_lock(&stage->mutex);
	jobs_append(&stage->waiting, job);
	pthread_cond_signal(&stage->arrived);
	pthread_mutex_unlock(&stage->mutex);
}

static struct stage_job *stage_take_one(struct stage *stage, struct jobs *jobs) {
	pthread_mutex_lock(&stage->mutex);
	struct stage_job *job = jobs_take(jobs);
	pthread_mutex_unlock(&stage->mutex);
	return job;
}

void stage_take(struct stage *stage) {
	uint64_t count;
	struct stage_job *job;
	ssize_t got = read(stage->fd, &count, sizeof(count)); /* nothing there: then nothing came back */
	(void)got;
	while ((job = stage_take_one(stage, &stage->back)) != NULL)
		job->done(job, false);
}

void stage_stop(struct stage *stage) {
	struct stage_job *job;
	if (stage->stopped)
		return;
	pthread_mutex_lock(&stage->mutex);
	stage->stopping = true;
	pthread_cond_signal(&stage->arrived);
	pthread_mutex_unlock(&stage->mutex);
	pthread_join(stage->thread, NULL);
	stage->stopped = true;
	stage_take(stage);
	while ((job = stage_take_one(stage, &stage->waiting)) != NULL)
		job->done(job, true);
}

void stage_destroy(struct stage *stage) {
	if (stage == NULL)
		return;
	check(stage->stopped);
	close(stage->fd);
	pthread_cond_destroy(&stage->arrived);
	pthread_mutex_destroy(&stage->mutex);
	free(stage);
}
