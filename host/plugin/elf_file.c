#include "plugin/elf_file.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <sys/stat.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#define MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#define MACHINE_NAME "aarch64"
#else
#error "name this machine's ELF number"
#endif

enum { PATH_BYTES_MAX = 4096 }; /* as PATH_MAX of Linux */

static const char manifest_section[] = ".sofun.manifest";

/* One examination: the bytes, libelf's handle on them, and what the dynamic section told so far. */
struct examination {
	struct bytes file;
	const char *directory;
	Elf *elf;
	size_t segments;
	GElf_Phdr dynamic;
	uint64_t strings;      /* file offset of DT_STRTAB */
	uint64_t strings_size; /* DT_STRSZ */
	struct elf_facts facts;
	struct error *error;
};

static enum elf_verdict elf_incomplete(struct examination *exam, const char *what, uint64_t end) {
	error_set(exam->error, ERROR_REFUSED, "the file is incomplete: its %s ends beyond the file", what);
	error_found(exam->error, "%zu bytes", exam->file.size);
	error_expected(exam->error, "at least %llu bytes", (unsigned long long)end);
	error_hint(exam->error, "copy it under another name in the same directory, then rename it");
	return ELF_INCOMPLETE;
}

static enum elf_verdict elf_refuse(
	struct examination *exam, const char *message, const char *found, const char *expected, const char *hint) {
	error_set(exam->error, ERROR_REFUSED, "%s", message);
	error_found(exam->error, "%s", found);
	error_expected(exam->error, "%s", expected);
	error_hint(exam->error, "%s", hint);
	return ELF_REFUSED;
}

static bool elf_within(const struct examination *exam, uint64_t offset, uint64_t size) {
	return offset <= exam->file.size && size <= exam->file.size - offset;
}

/* The end of a part, for a message; no wrap-around. */
static uint64_t part_end(uint64_t offset, uint64_t size) {
	return size > UINT64_MAX - offset ? UINT64_MAX : offset + size;
}

/* The fixed header: is this an ELF shared object for us, and do its two tables lie inside the file? */
static enum elf_verdict elf_header(struct examination *exam) {
	struct bytes file = exam->file;
	if (memcmp(file.data, ELFMAG, file.size < SELFMAG ? file.size : SELFMAG) != 0)
		return elf_refuse(exam, "the file is not an ELF shared object", "other bytes than 7f 45 4c 46 at its beginning",
			"a shared object", "build the plugin with -shared -fPIC, or with sofun_add_plugin()");
	Elf64_Ehdr header;
	if (file.size < sizeof(header))
		return elf_incomplete(exam, "header", sizeof(header));
	memcpy(&header, file.data, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
		header.e_machine != MACHINE) {
		char found[64];
		snprintf(found, sizeof(found), "ELF class %u, data %u, machine %u", header.e_ident[EI_CLASS],
			header.e_ident[EI_DATA], header.e_machine);
		return elf_refuse(exam, "the plugin was built for another machine", found,
			"64 bit, little-endian, " MACHINE_NAME, "build it on, or for, this machine");
	}
	if (header.e_type != ET_DYN)
		return elf_refuse(exam, "the ELF file is not a shared object", "another ELF type than ET_DYN", "ET_DYN",
			"link the plugin with -shared");
	uint64_t segments = (uint64_t)header.e_phnum * header.e_phentsize;
	if (!elf_within(exam, header.e_phoff, segments))
		return elf_incomplete(exam, "segment table", part_end(header.e_phoff, segments));
	uint64_t sections = (uint64_t)header.e_shnum * header.e_shentsize;
	if (!elf_within(exam, header.e_shoff, sections))
		return elf_incomplete(exam, "section table", part_end(header.e_shoff, sections));
	return ELF_SOUND;
}

/* Every segment ends inside the file; finds the dynamic one. */
static enum elf_verdict elf_segments(struct examination *exam) {
	bool loads = false;
	if (elf_getphdrnum(exam->elf, &exam->segments) != 0)
		exam->segments = 0;
	for (size_t i = 0; i < exam->segments; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(exam->elf, (int)i, &segment) == NULL)
			return elf_incomplete(exam, "segment table", UINT64_MAX);
		if (segment.p_type != PT_NULL && !elf_within(exam, segment.p_offset, segment.p_filesz))
			return elf_incomplete(exam, "segment", part_end(segment.p_offset, segment.p_filesz));
		loads = loads || segment.p_type == PT_LOAD;
		if (segment.p_type == PT_DYNAMIC)
			exam->dynamic = segment;
	}
	if (!loads || exam->dynamic.p_type != PT_DYNAMIC)
		return elf_refuse(exam, "the ELF file cannot be loaded", "no PT_LOAD or no PT_DYNAMIC segment", "both",
			"link the plugin with -shared");
	return ELF_SOUND;
}

/* Every section ends inside the file; finds the manifest. */
static enum elf_verdict elf_sections(struct examination *exam) {
	size_t names;
	Elf_Scn *section = NULL;
	if (elf_getshdrstrndx(exam->elf, &names) != 0)
		names = SHN_UNDEF;
	while ((section = elf_nextscn(exam->elf, section)) != NULL) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) == NULL)
			return elf_incomplete(exam, "section table", UINT64_MAX);
		if (header.sh_type == SHT_NOBITS || header.sh_type == SHT_NULL)
			continue;
		if (!elf_within(exam, header.sh_offset, header.sh_size))
			return elf_incomplete(exam, "section", part_end(header.sh_offset, header.sh_size));
		const char *name = names == SHN_UNDEF ? NULL : elf_strptr(exam->elf, names, header.sh_name);
		if (name != NULL && strcmp(name, manifest_section) == 0)
			exam->facts.manifest = bytes_of(exam->file.data + header.sh_offset, (size_t)header.sh_size);
	}
	if (exam->facts.manifest.size == 0)
		return elf_refuse(exam, "the file has no manifest: it is not a sofun plugin, or it was stripped of it",
			"no section .sofun.manifest", "one, written by the macros of sofun/declare.h",
			"declare the plugin with SOFUN_PLUGIN(...), and strip with --strip-unneeded at most");
	return ELF_SOUND;
}

/* The file offset of a loaded address; false if no segment has it. */
static bool elf_offset(const struct examination *exam, uint64_t address, uint64_t *ret_offset) {
	for (size_t i = 0; i < exam->segments; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(exam->elf, (int)i, &segment) == NULL || segment.p_type != PT_LOAD)
			continue;
		if (address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
			*ret_offset = segment.p_offset + (address - segment.p_vaddr);
			return true;
		}
	}
	return false;
}

/* A NUL-terminated string of the dynamic string table; NULL if it does not lie in the file. */
static const char *elf_string(const struct examination *exam, uint64_t at) {
	if (at >= exam->strings_size || !elf_within(exam, exam->strings, exam->strings_size))
		return NULL;
	const uint8_t *text = exam->file.data + exam->strings + at;
	if (memchr(text, '\0', (size_t)(exam->strings_size - at)) == NULL)
		return NULL;
	return (const char *)text;
}

/* Trap 12: two versions of a plugin with a private helper of one SONAME share the first one's helper. */
static enum elf_verdict elf_needed(struct examination *exam, const char *needed) {
	char path[PATH_BYTES_MAX];
	struct stat status;
	bool beside = exam->directory != NULL &&
		(size_t)snprintf(path, sizeof(path), "%s/%s", exam->directory, needed) < sizeof(path) &&
		stat(path, &status) == 0;
	if (strchr(needed, '/') == NULL && !beside)
		return ELF_SOUND;
	char found[ERROR_DETAIL_BYTES];
	snprintf(found, sizeof(found), "DT_NEEDED %.200s", needed);
	return elf_refuse(exam, "the plugin needs a private helper library, which all its versions would share", found,
		"libraries of the system only", "link the helper statically into the plugin");
}

static bool elf_path_private(const char *path) {
	while (*path != '\0') {
		size_t length = strcspn(path, ":");
		if (length == 0 || path[0] != '/')
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

static enum elf_verdict elf_search_path(struct examination *exam, const char *path) {
	if (strstr(path, "$ORIGIN") == NULL && strstr(path, "${ORIGIN}") == NULL && !elf_path_private(path))
		return ELF_SOUND;
	char found[ERROR_DETAIL_BYTES];
	snprintf(found, sizeof(found), "RUNPATH or RPATH %.200s", path);
	return elf_refuse(exam, "the plugin searches libraries relative to itself, but its copy is loaded from elsewhere",
		found, "no search path, or absolute ones", "link helpers statically and drop -rpath");
}

static enum elf_verdict elf_flags(struct examination *exam, uint64_t tag, uint64_t flags) {
	if (tag == DT_FLAGS && (flags & DF_STATIC_TLS) != 0)
		return elf_refuse(exam, "the plugin uses initial-exec TLS, whose room shrinks with every load",
			"DF_STATIC_TLS in DT_FLAGS", "none", "build it, and what it links, with -ftls-model=global-dynamic");
	if (tag == DT_FLAGS_1 && (flags & DF_1_PIE) != 0)
		return elf_refuse(exam, "the ELF file is a program, not a shared object", "DF_1_PIE in DT_FLAGS_1", "none",
			"link the plugin with -shared");
	exam->facts.nodelete = exam->facts.nodelete || (tag == DT_FLAGS_1 && (flags & DF_1_NODELETE) != 0);
	return ELF_SOUND;
}

static enum elf_verdict elf_dynamic_entry(struct examination *exam, const GElf_Dyn *entry) {
	const char *text;
	switch (entry->d_tag) {
	case DT_NEEDED:
		text = elf_string(exam, entry->d_un.d_val);
		return text == NULL ? ELF_SOUND : elf_needed(exam, text);
	case DT_RPATH:
	case DT_RUNPATH:
		text = elf_string(exam, entry->d_un.d_val);
		return text == NULL ? ELF_SOUND : elf_search_path(exam, text);
	case DT_FLAGS:
	case DT_FLAGS_1:
		return elf_flags(exam, (uint64_t)entry->d_tag, entry->d_un.d_val);
	default:
		return ELF_SOUND;
	}
}

static void elf_find_strings(struct examination *exam, Elf_Data *data, size_t count) {
	GElf_Dyn entry;
	for (size_t i = 0; i < count && gelf_getdyn(data, (int)i, &entry) != NULL && entry.d_tag != DT_NULL; i++) {
		if (entry.d_tag == DT_STRTAB && !elf_offset(exam, entry.d_un.d_ptr, &exam->strings))
			exam->strings = UINT64_MAX;
		if (entry.d_tag == DT_STRSZ)
			exam->strings_size = entry.d_un.d_val;
	}
}

static enum elf_verdict elf_dynamic(struct examination *exam) {
	size_t count = (size_t)(exam->dynamic.p_filesz / sizeof(Elf64_Dyn));
	Elf_Data *data =
		elf_getdata_rawchunk(exam->elf, (int64_t)exam->dynamic.p_offset, count * sizeof(Elf64_Dyn), ELF_T_DYN);
	if (data == NULL)
		return elf_refuse(exam, "the dynamic section cannot be read", elf_errmsg(-1), "a shared object as ld writes it",
			"build the plugin again");
	elf_find_strings(exam, data, count);
	enum elf_verdict verdict = ELF_SOUND;
	GElf_Dyn entry;
	for (size_t i = 0; i < count && gelf_getdyn(data, (int)i, &entry) != NULL && entry.d_tag != DT_NULL; i++) {
		verdict = elf_dynamic_entry(exam, &entry);
		if (verdict != ELF_SOUND)
			break;
	}
	return verdict;
}

static enum elf_verdict elf_contents(struct examination *exam) {
	static enum elf_verdict (*const steps[])(struct examination * exam) = {elf_segments, elf_sections, elf_dynamic};
	elf_version(EV_CURRENT);
	/* libelf takes a mutable pointer, and writes only when asked to. */
	exam->elf = elf_memory((char *)(uintptr_t)exam->file.data, exam->file.size);
	if (exam->elf == NULL)
		return elf_refuse(exam, "the ELF file cannot be read", elf_errmsg(-1), "a shared object as ld writes it",
			"build the plugin again");
	enum elf_verdict verdict = ELF_SOUND;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && verdict == ELF_SOUND; i++)
		verdict = steps[i](exam);
	elf_end(exam->elf);
	return verdict;
}

enum elf_verdict elf_examine(
	struct bytes file, const char *directory, struct elf_facts *ret_facts, struct error *error) {
	struct examination exam = {.file = file, .directory = directory, .error = error};
	enum elf_verdict verdict = elf_header(&exam);
	if (verdict == ELF_SOUND)
		verdict = elf_contents(&exam);
	if (verdict == ELF_SOUND)
		*ret_facts = exam.facts;
	return verdict;
}
