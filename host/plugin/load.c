#include "plugin/load.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/sanitizer.h"

enum { LIBRARY_MAGIC = 0x4c494252 };

struct library {
	uint32_t magic;
	void *handle;
	char *path;
	uintptr_t begin; /* of the mapping */
	uintptr_t end;
	uintptr_t code_begin; /* of what is executable in it */
	uintptr_t code_end;
};

/* How often the loader mapped and unmapped for us; the registry checks its own count of images against it. */
static _Atomic uint64_t mapped_total;
static _Atomic uint64_t unmapped_total;
static _Atomic uint64_t stuck_total;

bool library_kept_always(void) {
	return UNDER_SANITIZER;
}

/* True if the loader knows the name; gives back the reference that the question took (trap 2). */
static bool library_known(const char *path) {
	void *handle = dlopen(path, RTLD_NOLOAD | RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return false;
	dlclose(handle);
	return true;
}

/* The extent of the object whose dynamic section is the handle's. */
static int library_extent(struct dl_phdr_info *info, size_t size, void *arg) {
	struct library *library = arg;
	(void)size;
	if (strcmp(info->dlpi_name, library->path) != 0)
		return 0;
	library->begin = library->code_begin = UINTPTR_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD)
			continue;
		uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
		library->begin = begin < library->begin ? begin : library->begin;
		library->end = begin + segment->p_memsz > library->end ? begin + segment->p_memsz : library->end;
		if ((segment->p_flags & PF_X) == 0)
			continue;
		library->code_begin = begin < library->code_begin ? begin : library->code_begin;
		library->code_end = begin + segment->p_memsz > library->code_end ? begin + segment->p_memsz : library->code_end;
	}
	return 1;
}

static bool library_refuse(struct error *error) {
	const char *text = dlerror();
	error_set(error, ERROR_REFUSED, "the loader refuses the plugin");
	error_found(error, "%s", text == NULL ? "no reason given" : text);
	error_expected(error, "a shared object whose symbols are all found");
	error_hint(error, "link it with -Wl,-z,defs to see what is missing; install the libraries that it needs");
	return false;
}

struct library *library_open(const char *path, struct error *error) {
	/* A name that is mapped already would give the old code: our names are unique, so this is a mistake of ours. */
	check(!library_known(path));
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		library_refuse(error);
		return NULL;
	}
	struct library *library = check_alloc(1, sizeof(*library));
	library->magic = LIBRARY_MAGIC;
	library->handle = handle;
	library->path = check_strdup(path);
	dl_iterate_phdr(library_extent, library);
	check(library->begin < library->end);
	atomic_fetch_add(&mapped_total, 1);
	return library;
}

const void *library_symbol(struct library *library, const char *name) {
	CHECK_OBJECT(library, LIBRARY_MAGIC);
	return dlsym(library->handle, name);
}

bool library_close(struct library *library, bool keep) {
	CHECK_OBJECT(library, LIBRARY_MAGIC);
	bool unmapped = false;
	if (!keep && !library_kept_always()) {
		dlclose(library->handle);
		unmapped = !library_known(library->path);
	}
	atomic_fetch_add(unmapped ? &unmapped_total : &stuck_total, 1);
	library->magic = 0;
	free(library->path);
	free(library);
	return unmapped;
}

void library_code(const struct library *library, uintptr_t *ret_begin, uintptr_t *ret_end) {
	CHECK_OBJECT(library, LIBRARY_MAGIC);
	*ret_begin = library->code_begin;
	*ret_end = library->code_end;
}

bool library_holds(const struct library *library, uintptr_t address) {
	CHECK_OBJECT(library, LIBRARY_MAGIC);
	return address >= library->begin && address < library->end;
}

void library_figures(struct library_figures *ret_figures) {
	ret_figures->stuck = atomic_load(&stuck_total);
	ret_figures->unmapped = atomic_load(&unmapped_total);
	ret_figures->mapped = atomic_load(&mapped_total) - ret_figures->unmapped;
}
