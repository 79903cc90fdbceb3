#include "bench/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/program.h"
#include "fail.h"

enum {
	SPIN_MS = 60,
	SPIN_TRIES = 5, /* alone; the best counts */
	SYNCS = 200,
	SYNC_BYTES = 4096,
	SYNC_FILE_BYTES = 1 << 20, /* written in advance and overwritten, as a journal's segments are */
	CPUS_MAX = 64,
	SECTOR_BYTES = 512, /* the kernel's unit, whatever the device's is */
};

#define QUIET_SHARE 0.9 /* of the best speed, on the slowest core */
#define EXT4_MAGIC 0xef53
#define TMPFS_MAGIC 0x01021994
#define OVERLAY_MAGIC 0x794c7630
#define XFS_MAGIC 0x58465342
#define BTRFS_MAGIC 0x9123683e

struct spin {
	pthread_t thread;
	int cpu; /* -1: wherever */
	double speed;
};

/* How often a chain of multiplications goes round in the time: nothing but this core's share can slow it. */
static void *spin_run(void *arg) {
	struct spin *spin = arg;
	if (spin->cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET((size_t)spin->cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof set, &set); /* refused: then it spins where it is */
	}
	const uint64_t start = clock_ns();
	uint64_t rounds = 0, number = 1, now;
	do {
		for (int i = 0; i < 1000; i++)
			number = number * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : : "r"(number));
		rounds++;
		now = clock_ns();
	} while (now - start < (uint64_t)SPIN_MS * 1000000u);
	spin->speed = (double)rounds / (double)(now - start);
	return NULL;
}

/* The slowest of the cores, all at once. */
static double spin_all(uint32_t cpus) {
	struct spin spins[CPUS_MAX];
	for (uint32_t i = 0; i < cpus; i++) {
		spins[i] = (struct spin){.cpu = (int)i};
		check(pthread_create(&spins[i].thread, NULL, spin_run, &spins[i]) == 0);
	}
	double least = 0;
	for (uint32_t i = 0; i < cpus; i++) {
		pthread_join(spins[i].thread, NULL);
		least = i == 0 || spins[i].speed < least ? spins[i].speed : least;
	}
	return least;
}

bool machine_quiet(struct bench *bench) {
	return spin_all(bench->cpus) >= bench->spin_best * QUIET_SHARE;
}

static void spin_look(struct bench *bench) {
	for (int i = 0; i < SPIN_TRIES; i++) {
		struct spin spin = {.cpu = -1};
		spin_run(&spin);
		bench->spin_best = spin.speed > bench->spin_best ? spin.speed : bench->spin_best;
	}
}

static const char *file_system_name(unsigned long type) {
	switch (type) {
	case EXT4_MAGIC:
		return "ext4";
	case TMPFS_MAGIC:
		return "tmpfs";
	case OVERLAY_MAGIC:
		return "overlay";
	case XFS_MAGIC:
		return "xfs";
	case BTRFS_MAGIC:
		return "btrfs";
	default:
		return NULL;
	}
}

static bool file_system_look(struct bench *bench) {
	struct statfs info;
	if (statfs(bench->directory, &info) != 0)
		return fail_here(bench->run, "%s: %s", bench->directory, strerror(errno)), false;
	const unsigned long type = (unsigned long)info.f_type;
	const char *name = file_system_name(type);
	if (name != NULL)
		snprintf(bench->file_system, sizeof bench->file_system, "%s", name);
	else
		snprintf(bench->file_system, sizeof bench->file_system, "type 0x%lx", type);
	bench->is_tmpfs = type == TMPFS_MAGIC;
	return true;
}

static void device_look(struct bench *bench) {
	struct stat info;
	char path[sizeof bench->device];
	if (stat(bench->directory, &info) != 0)
		return;
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(info.st_dev), minor(info.st_dev));
	if (access(path, R_OK) == 0)
		memcpy(bench->device, path, sizeof path);
}

double machine_disk_bytes(const struct bench *bench) {
	unsigned long long sectors;
	FILE *file = bench->device[0] == '\0' ? NULL : fopen(bench->device, "re");
	if (file == NULL)
		return -1;
	const int directory = open(bench->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = directory >= 0 && syncfs(directory) == 0;
	/* reads, merged, sectors, ms; writes, merged, sectors */
	good = fscanf(file, "%*u %*u %*u %*u %*u %*u %llu", &sectors) == 1 && good;
	if (directory >= 0)
		close(directory);
	fclose(file);
	return good ? (double)sectors * SECTOR_BYTES : -1;
}

static bool sync_measure(struct bench *bench, int file) {
	static uint8_t bytes[SYNC_FILE_BYTES];
	struct histogram *histogram = check_alloc(1, sizeof *histogram);
	bool good = pwrite(file, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes && fdatasync(file) == 0;
	for (int i = 0; good && i < SYNCS; i++) {
		const uint64_t start = clock_ns();
		good = pwrite(file, bytes, SYNC_BYTES, (off_t)i * SYNC_BYTES) == SYNC_BYTES && fdatasync(file) == 0;
		histogram_add(histogram, clock_ns() - start, 1);
	}
	bench->sync_p50_us = histogram_us(histogram, 0.5);
	free(histogram);
	return good;
}

static bool sync_look(struct bench *bench) {
	char path[PATH_BYTES + NAME_BYTES];
	snprintf(path, sizeof path, "%s/sync", bench->directory);
	const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const bool good = file >= 0 && sync_measure(bench, file);
	const int problem = errno;
	if (file >= 0)
		close(file);
	unlink(path);
	return good || (fail_here(bench->run, "%s: %s", path, strerror(problem)), false);
}

bool machine_look(struct bench *bench) {
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bench->cpus = cpus < 1 ? 1 : cpus > CPUS_MAX ? CPUS_MAX : (uint32_t)cpus;
	spin_look(bench);
	device_look(bench);
	return file_system_look(bench) && sync_look(bench);
}
