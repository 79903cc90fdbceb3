/* powercut.so: an LD_PRELOAD library under which a process may be killed and then cut.py makes of its directory what a
 * power cut might have left: of pages of 4 KiB written since the last sync, some; of names created, renamed and unlinked
 * since their directory was synced, some.
 *
 *   POWERCUT_DIR=/abs/dir    what is watched; the notes stand beside it in /abs/dir.powercut
 *   POWERCUT_SYNC=lie        fsync, fdatasync and msync do nothing and say they did (the mutant that must be caught)
 *   POWERCUT_DIE=N           SIGKILL in the N-th sync of a folder that comes between a write to a MANIFEST of LevelDB and
 *                            its sync: the instant at which the folder's newest names and that write race to the disk
 *
 * The notes are written before the change they undo, with plain writes, so a SIGKILL at any instant leaves them whole:
 *
 *   undo/INODE   records of UNDO_BYTES: what a page, or the size, was at the last sync. Emptied by a sync of the file.
 *   files/INODE  a hard link to that file, so that a deleted one can still be found
 *   names        records of NAME_BYTES, appended: a change of one name, or the sync of a directory
 *   links/ID     a hard link to what a name meant before or after a change
 *
 * Not seen: writes by stdio (LevelDB's LOG), by io_uring, and through mappings made writable by mprotect. They count as
 * durable at once. A mapping that is shared and writable counts as unsynced from its first page to its last, always. */
#ifndef TESTS_POWERCUT_SHIM_H
#define TESTS_POWERCUT_SHIM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PAGE_BYTES = 4096, UNDO_BYTES = 16 + PAGE_BYTES, NAME_BYTES = 1024, NAME_PATH_BYTES = NAME_BYTES - 40 };

enum undo_kind { UNDO_PAGE = 0, UNDO_SIZE = 1 };

struct undo_record {
	uint64_t place; /* page number, or the size */
	uint32_t bytes; /* of data that stood in the file */
	uint32_t kind;
	uint8_t data[PAGE_BYTES];
};

enum name_kind { NAME_CHANGE = 1, NAME_SYNC = 2, NAME_MKDIR = 3, NAME_RMDIR = 4 };

struct name_record {
	uint64_t operation; /* the same in the two changes of one rename */
	uint32_t kind;
	uint32_t unused;
	uint64_t before; /* link; 0: there was none */
	uint64_t after;  /* link; 0: there is none */
	uint64_t unused_too;
	char path[NAME_PATH_BYTES]; /* below the watched directory; "" is itself */
};

/* shim_paths.c */
bool shim_active(void);
bool shim_lying(void);
/* A MANIFEST was written to, or synced; nothing for other files. */
void shim_manifest(int fd, bool synced);
/* A folder is about to be synced: does not return at the instant that POWERCUT_DIE names. */
void shim_manifest_instant(void);
/* True if the path is the watched directory or below it; then its place below it. */
bool shim_resolve(int directory, const char *path, char relative[PATH_MAX]);
/* A place among the notes. */
void shim_note_path(char path[PATH_MAX], const char *folder, uint64_t number);
_Noreturn void shim_fail(const char *what);
uint64_t shim_number(void); /* unique among all processes that share the notes */

/* shim_files.c */
struct tracked;
void shim_file_opened(int fd);
void shim_file_closed(int fd);
/* Locks the file and notes what [offset, offset + size) holds; NULL if the fd is of no watched file. */
struct tracked *shim_write_begin(int fd, off_t offset, size_t size);
/* The same at the place where write(2) would put it. */
struct tracked *shim_append_begin(int fd, size_t size, bool has_offset, off_t offset);
/* The same for a new size. */
struct tracked *shim_resize_begin(int fd, off_t size);
void shim_write_end(struct tracked *file);
/* Locks; the caller syncs, and then says whether it succeeded. */
struct tracked *shim_sync_begin(int fd);
void shim_sync_end(struct tracked *file, bool synced);
void shim_mapped(int fd, off_t offset, size_t size);

/* shim_names.c */
void shim_names_lock(void);
void shim_names_unlock(void);
void shim_name_created(const char *relative, const char *path, int directory);
/* Before the change itself; path and directory are what the call was given. */
void shim_name_unlinks(const char *relative, int directory, const char *path, bool is_directory);
void shim_name_renames(const char *from_relative, int from_directory, const char *from, const char *to_relative,
	int to_directory, const char *to);
void shim_name_mkdir(const char *relative);
void shim_directory_opened(int fd, const char *relative);
/* The relative path of an open directory, or NULL. */
const char *shim_directory_of(int fd);
void shim_directory_synced(const char *relative);

#endif
