/* The ways in which a function can take its host down. */
#ifndef PLAY_CRASH_H
#define PLAY_CRASH_H

#include "program.h"

/* Does not return, unless kind is CRASH_NONE. */
void crash(enum program_crash kind);

#endif
