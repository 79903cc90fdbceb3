/* Evidence of a death: while code of an image runs for the first time in this process (dlopen, init), a signal that
 * ends the process leaves a note beside the image's copy, `<copy>.died`. The next start finds it and knows the culprit;
 * a host that was killed from outside leaves none, and convicts nobody (INVARIANTS 34). One thread at a time: the
 * stager's, or the loop's at recovery. */
#ifndef HOST_PLUGIN_ATTEMPT_H
#define HOST_PLUGIN_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>

#define ATTEMPT_SUFFIX ".died"

enum { ATTEMPT_TEXT_BYTES = 32 };

/* From here on, fatal signals of the calling thread leave the note. image_path: the copy's path. */
void attempt_begin(const char *image_path);
void attempt_end(void);

/* Reads the note of an image, e.g. "SIGSEGV"; false if there is none. */
bool attempt_died(const char *image_path, char ret_signal[ATTEMPT_TEXT_BYTES]);

#endif
