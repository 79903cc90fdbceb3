#include "supervisor/fault.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/sanitizer.h"
#include "sofun/plugin.h"

/* What code can do to its own process by mistake. */
static const int fatal[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};

enum {
	FATAL_COUNT = sizeof fatal / sizeof fatal[0],
	STACK_BYTES = 64 << 10, /* the handler needs a few KiB, of which the kernel's frame (AVX-512) is most */
	GUARD_BYTES = 4096,
	CALLERS_BYTES = 4096, /* of a stack: abort() and malloc's complaints need less until their caller */
};

/* A signal handler can know of the process by nothing but globals. */
static struct fault *record;
static struct sigaction previous[FATAL_COUNT];
static _Atomic bool exit_expected;
static _Thread_local void *handler_stack;

uint64_t fault_payload_hash(struct bytes payload) {
	return hash_bytes(UINT64_C(0x6372617368), payload.data, payload.size);
}

/* ---- writing it down; async-signal-safe ---- */

static bool record_claim(void) {
	bool claimed = false;
	return record != NULL && atomic_compare_exchange_strong(&record->claimed, &claimed, true);
}

static uint32_t part_copy(void *to, sofun_bytes from, uint32_t size_max) {
	uint32_t size = from.size < size_max ? (uint32_t)from.size : size_max;
	if (from.data == NULL)
		return 0;
	memcpy(to, from.data, size);
	return size;
}

static void parts_copy(sofun_bytes name, sofun_bytes id, sofun_bytes payload) {
	record->name_size = part_copy(record->name, name, sizeof record->name);
	record->id_size = part_copy(record->id, id, sizeof record->id);
	record->payload_hash = fault_payload_hash(bytes_of(payload.data, payload.size));
}

/* What the note points to is alive: the call it speaks of has not been consumed yet. If a broken plugin has damaged it,
 * this faults again, the kernel ends the process, and the record stays incomplete. */
static void note_copy(const struct note *note) {
	record->noted = true;
	record->kind = atomic_load(&note->kind);
	if (record->kind == NOTE_NOTHING)
		return;
	record->image = note->image;
	record->alone = note->alone != 0;
	record->place = record->alone ? note->place : 0;
	const sofun_message *message = note->what;
	const sofun_record *input = note->what;
	switch (record->kind & ~(uint32_t)NOTE_LEFT) {
	case NOTE_FUNCTION:
	case NOTE_MIGRATE:
	case NOTE_WORK:
		parts_copy(message->self.type, message->self.id, message->payload);
		return;
	case NOTE_ROUTER:
		parts_copy(input->ingress, input->producer, input->data);
		return;
	}
}

static uint64_t instruction_of(const void *context) {
	const ucontext_t *user = context;
#if defined(__x86_64__)
	return (uint64_t)user->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uint64_t)user->uc_mcontext.pc;
#else
	(void)user;
	return 0;
#endif
}

static uint64_t stack_of(const void *context) {
	const ucontext_t *user = context;
#if defined(__x86_64__)
	return (uint64_t)user->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (uint64_t)user->uc_mcontext.sp;
#else
	(void)user;
	return 0;
#endif
}

/* A thread that has no note is a plugin's or a library's. If it died in a library's code (abort, free), the nearest
 * address of an image's code on its stack says who called. Read by the kernel's hand, since the stack may end anywhere. */
static uint32_t caller_find(uint64_t stack) {
	uintptr_t words[CALLERS_BYTES / sizeof(uintptr_t)];
	struct iovec to = {words, sizeof words};
	struct iovec from = {(void *)(uintptr_t)stack, sizeof words};
	ssize_t size = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	for (size_t i = 0; size > 0 && i < (size_t)size / sizeof words[0]; i++) {
		uint32_t image = note_image_find(words[i]);
		if (image != NOTE_IMAGE_NONE)
			return image;
	}
	return NOTE_IMAGE_NONE;
}

static bool from_outside(const siginfo_t *info) {
	return (info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL) &&
		info->si_pid != getpid();
}

static void signal_record(int number, const siginfo_t *info, const void *context) {
	record->cause = from_outside(info) ? FAULT_OUTSIDE : FAULT_SIGNAL;
	record->signal = number;
	record->instruction = instruction_of(context);
	record->address = info->si_code > 0 && number != SIGSYS ? (uint64_t)(uintptr_t)info->si_addr : 0;
	record->code_image = note_image_find((uintptr_t)record->instruction);
	const struct note *note = note_mine();
	if (note != NULL)
		note_copy(note);
	else if (record->code_image == NOTE_IMAGE_NONE)
		record->code_image = caller_find(stack_of(context));
	atomic_store(&record->complete, true);
}

/* Puts the previous action back; then the same signal comes again and finds it: the default, or a sanitizer's report. */
static void on_fatal(int number, siginfo_t *info, void *context) {
	if (record_claim())
		signal_record(number, info, context);
	while (record != NULL && !atomic_load(&record->complete))
		sched_yield(); /* another thread was first: it must come to its end */
	for (size_t i = 0; i < FATAL_COUNT; i++)
		if (fatal[i] == number)
			sigaction(number, &previous[i], NULL);
	if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS)
		raise(number); /* the instruction alone would not do it again */
}

/* exit() in a call: its thread runs the handlers, this one among the first. */
static void on_exit_called(void) {
	if (atomic_load(&exit_expected) || !record_claim())
		return;
	record->cause = FAULT_EXIT;
	if (note_mine() != NULL)
		note_copy(note_mine());
	atomic_store(&record->complete, true);
	_exit(EXIT_FAILURE); /* other threads are at work: nothing of the process may be torn down under them */
}

/* ---- life ---- */

void fault_watch(struct fault *fault) {
	record = fault;
	*record = (struct fault){0};
	atomic_store(&exit_expected, false);
	struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < FATAL_COUNT; i++)
		check(sigaction(fatal[i], &action, &previous[i]) == 0);
	check(atexit(on_exit_called) == 0);
}

void fault_watch_end(void) {
	atomic_store(&exit_expected, true);
}

void fault_thread_begin(uint32_t place) {
	struct note *note = note_of(place);
	note_mine_set(note);
	check(pthread_getcpuclockid(pthread_self(), &note->clock) == 0);
	atomic_store(&note->running, true);
	if (UNDER_SANITIZER || record == NULL)
		return; /* a sanitizer gives every thread such a stack, and takes back what it finds */
	uint8_t *memory = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED && mprotect(memory, GUARD_BYTES, PROT_NONE) == 0);
	const stack_t stack = {.ss_sp = memory + GUARD_BYTES, .ss_size = STACK_BYTES};
	check(sigaltstack(&stack, NULL) == 0);
	handler_stack = memory;
}

void fault_thread_end(void) {
	const stack_t none = {.ss_flags = SS_DISABLE};
	atomic_store(&note_mine()->running, false);
	note_mine_set(NULL);
	if (handler_stack == NULL)
		return;
	check(sigaltstack(&none, NULL) == 0);
	munmap(handler_stack, GUARD_BYTES + STACK_BYTES);
	handler_stack = NULL;
}

void fault_overrun(struct note *note, uint64_t entries, enum fault_cause cause, uint64_t limit_ms) {
	if (!record_claim())
		return;
	note_copy(note);
	record->cause = (uint32_t)cause;
	record->limit_ms = limit_ms;
	if (atomic_load(&note->entries) != entries || (atomic_load(&note->kind) & NOTE_LEFT) != 0) {
		*record = (struct fault){0}; /* it has returned at the last moment */
		return;
	}
	atomic_store(&record->complete, true);
	abort(); /* the record is claimed: the handler lets it pass, and a core shows every thread */
}
