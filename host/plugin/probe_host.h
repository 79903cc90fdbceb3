/* The host that a plugin's init is given in the probe: it has all that the true one has, and does nothing of it. */
#ifndef HOST_PLUGIN_PROBE_HOST_H
#define HOST_PLUGIN_PROBE_HOST_H

#include "sofun/host.h"

const sofun_host *probe_host(void);

#endif
