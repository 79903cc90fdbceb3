/* evhttp refuses some requests itself, with a page of HTML: what is not HTTP, an unknown method, a body beyond its
 * limit. Clients are promised JSON for every error, and evhttp 2.1 has no hook for these pages; so the connections that it
 * gets are watched from here, and our error is put in their place while they wait to be written. [loop thread] */
#ifndef HOST_CONTROL_PAGE_H
#define HOST_CONTROL_PAGE_H

struct bufferevent;
struct config;

void page_watch(struct bufferevent *connection, const struct config *config);

#endif
