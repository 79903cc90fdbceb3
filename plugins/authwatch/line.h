/* What a line of an sshd log says about failed logins. Knows nothing of sofun's flow; any thread. */
#ifndef AUTHWATCH_LINE_H
#define AUTHWATCH_LINE_H

#include <sofun/sofun.h>

/* syslog's time stamp: "Dec 10 06:55:46". */
enum { LINE_TIME_BYTES = 15 };

/* All views reach into the line. */
struct failure {
	sofun_bytes time;   /* the line's first 15 bytes */
	sofun_bytes user;   /* as the client gave it; empty is legal */
	sofun_bytes source; /* the remote address; never empty */
	int64_t count;      /* how many failures the line stands for, from 1 */
};

/* True, and ret_failure set, if the line reports failed logins:
 *
 *   TIME HOST "sshd[" PID "]: " [ "message repeated " N " times: [ " ]
 *       "Failed " METHOD " for" [ " invalid user" ] [ " " USER ] " from " SOURCE ...
 *
 * The first word of the line that ends with a colon must be sshd's: what another program says that sshd said does not
 * count. The message must begin with the words, and the last " from " is the one that counts: a user name may contain
 * all of it. One CR at the end is no part of the line. N has at most 18 digits; 0 is no failure. */
bool line_read(sofun_bytes line, struct failure *ret_failure);

#endif
