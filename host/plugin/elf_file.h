/* What an ELF file says about itself, read without executing any of it: is it whole, is it for this machine, would it
 * load safely beside others (ABI-NOTES, traps 5, 12, 15), and where its manifest stands. Works on a private copy of the
 * bytes in memory, never on a mapping: a file that shrinks under a mapping kills the reader. Any thread. */
#ifndef HOST_PLUGIN_ELF_FILE_H
#define HOST_PLUGIN_ELF_FILE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"

enum elf_verdict {
	ELF_SOUND,
	ELF_INCOMPLETE, /* a beginning of an ELF file, or one whose ends lie outside of it: more may come */
	ELF_REFUSED,    /* whatever comes later, this is no plugin for this host */
};

struct elf_facts {
	struct bytes manifest; /* the section's bytes, within the file's */
	bool nodelete;         /* linked with -z nodelete: dlclose will not unmap it */
};

/* directory: where the user's file lies, to find helpers beside it; NULL if that does not matter any more. The error is
 * set unless it is sound. */
enum elf_verdict elf_examine(
	struct bytes file, const char *directory, struct elf_facts *ret_facts, struct error *error);

#endif
