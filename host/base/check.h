/* Own mistakes are asserted, in every build; the world's mistakes are struct error (error.h). */
#ifndef HOST_BASE_CHECK_H
#define HOST_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* Says where and what on stderr, then aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define check(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Memory that could not be had ends the process: the budgets in limits.h are kept before malloc is asked. */
#define check_memory(pointer) ((pointer) != NULL ? (void)0 : check_failed(__FILE__, __LINE__, "out of memory"))

/* calloc that cannot fail. */
void *check_alloc(size_t count, size_t size);

/* strdup that cannot fail. */
char *check_strdup(const char *text);

/* Long-lived objects begin with a magic word that every function checks on entry. */
#define CHECK_OBJECT(object, word) check((object) != NULL && (object)->magic == (word))

#endif
