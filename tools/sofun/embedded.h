/* Files of the tree that the command carries in itself, put there at build time by tools/cmake/embed.cmake. */
#ifndef SOFUN_EMBEDDED_H
#define SOFUN_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
	const char *name; /* NULL ends the list */
	const unsigned char *data;
	size_t size; /* a NUL follows */
};

extern const struct embedded_file template_files[]; /* plugins/template */

#endif
