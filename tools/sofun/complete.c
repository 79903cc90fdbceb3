#include "complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "names.h"

enum { FILES_TOO = 0, NO_FILES = 1 };

/* What has been written, and where it is. */
struct completion {
	struct invocation run; /* as far as it goes */
	const char *word;      /* the one being written */
};

/* ---- candidates ---- */

/* What a shell would take for something else than a plain word is not offered: an id may be anything. */
static bool plain_word(const char *word) {
	for (const char *at = word; *at != '\0'; at++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@%+,=-", *at) == NULL)
			return false;
	return *word != '\0';
}

static void offer(const struct completion *at, const char *candidate) {
	if (candidate != NULL && strncmp(candidate, at->word, strlen(at->word)) == 0 && plain_word(candidate))
		puts(candidate);
}

/* The words of "NAME|first|last" in small letters. */
static void offer_words(const struct completion *at, const char *words) {
	char room[64];
	while (*words != '\0') {
		const size_t size = strcspn(words, "|");
		(void)snprintf(room, sizeof room, "%.*s", (int)size, words);
		if (*room >= 'a' && *room <= 'z')
			offer(at, room);
		words += size + (words[size] == '|');
	}
}

static void offer_options(const struct completion *at, const struct option *options) {
	for (; options != NULL && options->name != NULL; options++)
		offer(at, options->name);
}

/* ---- what stands where ---- */

static void name_offer(void *arg, const char *name) {
	offer(arg, name);
}

static int offer_argument(struct completion *at) {
	char kind[KIND_BYTES];
	argument_kind(at->run.command, at->run.argument_count, kind);
	if (strcmp(kind, "file") == 0)
		return FILES_TOO;
	if (!names_each(&at->run, kind, name_offer, at))
		offer_words(at, kind);
	return NO_FILES;
}

static int offer_value(const struct completion *at, const struct option *option) {
	offer_words(at, option->value);
	return strcmp(option->value, "DIR") == 0 || strcmp(option->value, "PATH") == 0 || strcmp(option->value, "FILE") == 0
		? FILES_TOO
		: NO_FILES;
}

static void word_take(struct completion *at, const char *word) {
	if (at->run.command == NULL)
		at->run.command = command_find(word);
	else if (at->run.argument_count < ARGUMENTS_MAX)
		at->run.arguments[at->run.argument_count++] = word;
}

static const struct option *option_of(const struct completion *at, const char *word) {
	const struct option *option = option_find(global_options, word, strlen(word));
	if (option == NULL && at->run.command != NULL)
		option = option_find(at->run.command->options, word, strlen(word));
	return option;
}

/* The words before the one being written; the option whose value that is, or NULL. */
static const struct option *words_take(struct completion *at, int count, char **words) {
	for (int i = 0; i < count; i++) {
		const struct option *option = looks_like_option(words[i]) ? option_of(at, words[i]) : NULL;
		if (option != NULL && option->value != NULL && ++i >= count)
			return option;
		if (option != NULL && at->run.option_count < OPTIONS_MAX)
			at->run.options[at->run.option_count++] =
				(struct given){option->name, option->value == NULL ? "" : words[i]};
		else if (option == NULL && !looks_like_option(words[i]))
			word_take(at, words[i]);
	}
	return NULL;
}

static int offer_next(struct completion *at, const struct option *pending) {
	if (pending != NULL)
		return offer_value(at, pending);
	if (at->word[0] == '-') {
		offer_options(at, global_options);
		offer_options(at, at->run.command == NULL ? NULL : at->run.command->options);
		return NO_FILES;
	}
	if (at->run.command != NULL)
		return offer_argument(at);
	for (const struct command *const *command = commands; *command != NULL; command++)
		offer(at, (*command)->name);
	return NO_FILES;
}

int complete(int count, char **words) {
	const int place = atoi(words[0]);
	struct completion at = {.word = ""};
	words++, count--;
	if (place < 0 || place > count)
		return NO_FILES;
	if (place < count)
		at.word = words[place];
	const struct option *pending = words_take(&at, place, words);
	if (option_value(&at.run, "--data") != NULL && option_value(&at.run, "--control") != NULL)
		return NO_FILES; /* the command would refuse it */
	(void)command_line_paths(&at.run);
	const int result = offer_next(&at, pending);
	command_line_finish(&at.run);
	return result;
}
