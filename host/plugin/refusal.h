/* Refusals quote what was found in files that anyone may have written: made fit for a line of a log and for JSON here.
 * Also their way through a pipe as one line. Any thread. */
#ifndef HOST_PLUGIN_REFUSAL_H
#define HOST_PLUGIN_REFUSAL_H

#include "base/bytes.h"
#include "base/error.h"

/* Control characters become spaces; in a text that is not UTF-8 the other bytes above 7f become `?`. */
void refusal_clean(struct error *error);

/* message, found, expected and hint with tabs between. REQUIRES a clean one. */
void refusal_write(struct buf *line, const struct error *error);

/* As ERROR_REFUSED; missing parts are empty. */
void refusal_read(const char *line, struct error *ret_error);

#endif
