/* evhttp refuses some requests itself, with a page of HTML: what is not HTTP, an unknown method, a body beyond its
 * limit. Clients are promised JSON for every error, and evhttp 2.1 has no hook for these pages; so peers.h watches what the
 * connections write, and our error is put in their place while they wait to be written. [loop thread] */
#ifndef HOST_CONTROL_HTTP_PAGE_H
#define HOST_CONTROL_HTTP_PAGE_H

#include <stdbool.h>

struct config;
struct evbuffer;
struct evbuffer_cb_info;

/* For the callback of a connection's output. True: it was such a page, and says now what it should. */
bool page_refused(struct evbuffer *output, const struct evbuffer_cb_info *info, const struct config *config);

#endif
