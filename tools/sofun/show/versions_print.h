/* The versions of a plugin side by side, for a person. */
#ifndef TOOLS_SHOW_VERSIONS_PRINT_H
#define TOOLS_SHOW_VERSIONS_PRINT_H

#include <jansson.h>

/* Who they are; what each that is loaded has counted since it came, a line a function; then who is on probation, and who went
 * back and why. versions: of GET /v1/plugins/NAME/versions. */
void versions_print(const json_t *versions);

#endif
