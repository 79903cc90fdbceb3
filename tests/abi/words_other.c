/* The second file of words.c. */
#include <sofun/sofun.h>

SOFUN_FUNCTION(other, "words/other", 3,
	SOFUN_VALUE(count, INT), SOFUN_VALUE(name, STR));

static int other_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	(void)message;
	return sofun_set_int(context, other_count, other_name);
}
