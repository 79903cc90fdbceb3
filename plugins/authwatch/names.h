/* The set of distinct names, in a RAW value: a MessagePack array of str (bin where a name is not UTF-8); a nil at its
 * end says that the set is full and there were more. */
#ifndef AUTHWATCH_NAMES_H
#define AUTHWATCH_NAMES_H

#include <sofun/sofun.h>

/* About 50,000 names. Each new one rewrites the whole value; this is half of the host's default for a value, and a
 * source that tries more names than that is known well enough. */
enum { NAMES_BYTES_MAX = 512 * 1024 };

/* Adds the name. *ret_new: it was not there and is now. When the set is full, *ret_new is false from then on, and the
 * host's log says so once. 0, or SOFUN_FAILED with the reason told. */
int names_add(sofun_context *context, uint32_t value, sofun_bytes name, bool *ret_new);

#endif
