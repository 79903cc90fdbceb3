/* What the words of a command line may be, and the names that the host has for them: for the shell's completion, and to say
 * which name was probably meant. */
#ifndef SOFUN_NAMES_H
#define SOFUN_NAMES_H

#include "base/near.h"
#include "command.h"

/* The kind of the argument i, one of the words of command->completes; "": of no kind. */
enum { KIND_BYTES = 32 };
void argument_kind(const struct command *command, size_t i, char ret_kind[KIND_BYTES]);

/* Calls take(arg, name) for every name of the kind "plugin", "type", "egress", "ingress", "id" or "version"; an id is of the
 * type that argument 0 names, a version of that plugin. None if the host does not say at once. False: the kind is another. */
typedef void (*name_take)(void *arg, const char *name);
bool names_each(const struct invocation *run, const char *kind, name_take take, void *arg);

/* The name of the kind that is nearest to `wanted`, which is none of them; "" if none is near. */
struct near names_nearest(const struct invocation *run, const char *kind, const char *wanted);

#endif
