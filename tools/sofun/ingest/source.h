/* Where `sofun ingest` reads its records: a file or a pipe, of lines or of MessagePack objects. */
#ifndef SOFUN_SOURCE_H
#define SOFUN_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum source_result {
	SOURCE_RECORD,
	SOURCE_LATER, /* a pipe that has nothing now */
	SOURCE_END,
	SOURCE_FAILED,
};

struct source {
	int file;
	bool objects; /* MessagePack objects, not lines */
	bool ended;
	uint64_t bytes_total; /* of a regular file; 0: nobody knows */
	uint64_t bytes_taken;
	struct buf buffer;
	size_t start;   /* of what has not been taken */
	size_t scanned; /* behind start: no line's end stands here */
	bool missing;   /* the problem is that there is no such file */
	char problem[256];
};

/* path "-": stdin. False: problem says why. */
bool source_open(struct source *source, const char *path, bool objects);

/* The next record (a line without its LF), valid until the next call. */
enum source_result source_next(struct source *source, struct bytes *ret_record);

void source_close(struct source *source);

#endif
