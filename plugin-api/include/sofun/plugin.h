/* The descriptor: the one symbol that a plugin exports, `sofun_plugin_descriptor`. */
#ifndef SOFUN_PLUGIN_H
#define SOFUN_PLUGIN_H

#include "function.h"
#include "host.h"
#include "router.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOFUN_MAGIC 0x4e464f53u /* "SOFN" read as little-endian */
#define SOFUN_ABI_MAJOR 1
#define SOFUN_ABI_MINOR 1
#define SOFUN_DESCRIPTOR_SYMBOL "sofun_plugin_descriptor"

/* magic, abi_major, abi_minor and size are frozen for all time. The host loads a plugin iff magic and major are its
 * own and minor is not newer; it reads min(size, its own size) bytes, and what is missing is NULL. */
typedef struct sofun_plugin {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;
	uint32_t flags;                         /* 0 */
	const char *name;                       /* [a-z][a-z0-9_-]*, at most 63 bytes */
	const char *version;                    /* MAJOR.MINOR.PATCH */
	const sofun_function *const *functions; /* NULL-terminated; NULL: none */
	const sofun_router *const *routers;     /* NULL-terminated; NULL: none */
	const char *const *egresses;            /* names that the functions may emit to; NULL-terminated; NULL: none */
	/* Once an image, before any callback; may be NULL. No outside effects: the host's probe calls it too, in a child
	 * process. Not 0: the plugin is refused, with the text that it wrote to error (UTF-8, NUL-terminated). */
	int (*init)(const sofun_host *host, void **ret_plugin_data, char *error, size_t error_size);
	/* Once, after the last callback has returned; may be NULL. No thread, no thread-specific destructor, no atexit
	 * handler of the plugin may outlive it. */
	void (*fini)(void *plugin_data);
} sofun_plugin;

#ifdef __cplusplus
}
#endif

#endif
