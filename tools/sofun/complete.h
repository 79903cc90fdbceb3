/* What could stand next on a command line, for the shell's completion (tools/sofun/sofun.bash). */
#ifndef SOFUN_COMPLETE_H
#define SOFUN_COMPLETE_H

/* sofun --complete N WORD...: word N (from 0) of those behind `sofun` is being written. */
#define COMPLETE_OPTION "--complete"

/* words[0] is N, then the words. Prints the candidates that begin as that word does, one a line; none where it is a file, or
 * where the host does not answer. 0; 1: files would be no candidates, either. */
int complete(int count, char **words);

#endif
