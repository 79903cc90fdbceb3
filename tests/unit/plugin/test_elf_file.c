/* ELF files judged without running them (plugin/elf_file.h): traps 5, 12, 15. */
#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture_kit.h"
#include "plugin/elf_file.h"

/* A copy of just that size, so that a sanitizer sees a read beyond it. */
static enum elf_verdict examine_exact(struct bytes file, const char *directory, struct error *error) {
	struct elf_facts facts;
	uint8_t *exact = malloc(file.size == 0 ? 1 : file.size);
	ck_assert_ptr_nonnull(exact);
	if (file.size > 0)
		memcpy(exact, file.data, file.size);
	enum elf_verdict verdict = elf_examine(bytes_of(exact, file.size), directory, &facts, error);
	free(exact);
	return verdict;
}

static enum elf_verdict examine_fixture(const char *name, const char *directory, struct error *error) {
	struct buf content = {0};
	fixture_read(name, &content);
	enum elf_verdict verdict = examine_exact(bytes_buf(&content), directory, error);
	buf_finish(&content);
	return verdict;
}

START_TEST(test_a_plugin_is_sound_and_its_manifest_is_found) {
	struct buf content = {0};
	struct elf_facts facts;
	struct error error;
	fixture_read("plain", &content);
	ck_assert_int_eq(elf_examine(bytes_buf(&content), NULL, &facts, &error), ELF_SOUND);
	ck_assert(facts.manifest.size > 20 && !facts.nodelete);
	ck_assert(facts.manifest.data > content.data && facts.manifest.data < content.data + content.size);
	buf_finish(&content);
}
END_TEST

START_TEST(test_every_beginning_of_a_plugin_is_incomplete) {
	struct buf content = {0};
	fixture_read("plain", &content);
	for (size_t size = 0; size < content.size; size += size < 4096 || content.size - size < 4096 ? 1 : 61) {
		struct error error = {0};
		enum elf_verdict verdict = examine_exact(bytes_of(content.data, size), NULL, &error);
		ck_assert_msg(verdict == ELF_INCOMPLETE, "cut at %zu of %zu: verdict %d", size, content.size, verdict);
		ck_assert_int_eq(error.code, ERROR_REFUSED);
		ck_assert(strstr(error.message, "incomplete") != NULL && error.found[0] != '\0' && error.hint[0] != '\0');
	}
	buf_finish(&content);
}
END_TEST

START_TEST(test_what_is_no_plugin_at_all) {
	struct error error;
	ck_assert_int_eq(examine_exact(bytes_text("#!/bin/sh\nexit 0\n"), NULL, &error), ELF_REFUSED);
	ck_assert_int_eq(examine_fixture("manifest_none", NULL, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, ".sofun.manifest") != NULL);
}
END_TEST

static enum elf_verdict examine_header(void (*change)(Elf64_Ehdr *header), struct error *error) {
	struct buf content = {0};
	Elf64_Ehdr header;
	fixture_read("plain", &content);
	memcpy(&header, content.data, sizeof header);
	change(&header);
	memcpy(content.data, &header, sizeof header);
	enum elf_verdict verdict = examine_exact(bytes_buf(&content), NULL, error);
	buf_finish(&content);
	return verdict;
}

static void to_32_bit(Elf64_Ehdr *header) {
	header->e_ident[EI_CLASS] = ELFCLASS32;
}

static void to_other_machine(Elf64_Ehdr *header) {
	header->e_machine = EM_S390;
}

static void to_program(Elf64_Ehdr *header) {
	header->e_type = ET_EXEC;
}

static void to_no_segments(Elf64_Ehdr *header) {
	header->e_phnum = 0;
}

static void to_wild_sections(Elf64_Ehdr *header) {
	header->e_shoff = UINT64_MAX - 10;
}

START_TEST(test_what_was_built_for_others) {
	struct error error;
	ck_assert_int_eq(examine_header(to_32_bit, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, "class 1") != NULL);
	ck_assert_int_eq(examine_header(to_other_machine, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, "machine 22") != NULL);
	ck_assert_int_eq(examine_header(to_program, &error), ELF_REFUSED);
	ck_assert_int_eq(examine_header(to_no_segments, &error), ELF_REFUSED);
	ck_assert_int_eq(examine_header(to_wild_sections, &error), ELF_INCOMPLETE);
}
END_TEST

START_TEST(test_a_program_is_no_plugin) {
	struct buf content = {0};
	struct file_identity identity;
	struct error error;
	ck_assert_int_eq(file_read("/proc/self/exe", &content, &identity, &error), FILE_READ);
	ck_assert_int_eq(examine_exact(bytes_buf(&content), NULL, &error), ELF_REFUSED);
	buf_finish(&content);
}
END_TEST

START_TEST(test_private_helpers_are_refused) {
	struct error error;
	char directory[1024];
	ck_assert_int_eq(examine_fixture("helper_origin", NULL, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, "$ORIGIN") != NULL);
	snprintf(directory, sizeof directory, "%s/tests/fixtures/helper_beside", TEST_BUILD_DIR);
	ck_assert_int_eq(examine_fixture("helper_beside/helper_beside", directory, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, "libtrap_helper.so") != NULL);
	ck_assert(strstr(error.hint, "statically") != NULL);
}
END_TEST

START_TEST(test_initial_exec_tls_is_refused) {
	struct error error;
	ck_assert_int_eq(examine_fixture("tls_initial_exec", NULL, &error), ELF_REFUSED);
	ck_assert(strstr(error.found, "DF_STATIC_TLS") != NULL);
}
END_TEST

START_TEST(test_nodelete_is_seen) {
	struct buf content = {0};
	struct elf_facts facts;
	struct error error;
	fixture_read("nodelete", &content);
	ck_assert_int_eq(elf_examine(bytes_buf(&content), NULL, &facts, &error), ELF_SOUND);
	ck_assert(facts.nodelete);
	buf_finish(&content);
}
END_TEST

START_TEST(test_every_byte_of_the_tables_may_be_wrong) {
	struct buf content = {0};
	struct error error;
	fixture_read("plain", &content);
	for (size_t at = 4; at < 1024; at++)
		for (int bit = 0; bit < 8; bit++) {
			content.data[at] ^= (uint8_t)(1 << bit);
			examine_exact(bytes_buf(&content), "/nowhere", &error); /* any verdict, but no crash */
			content.data[at] ^= (uint8_t)(1 << bit);
		}
	size_t tail = content.size - 3000;
	for (size_t at = tail; at < content.size; at++) {
		content.data[at] ^= 0xff;
		examine_exact(bytes_buf(&content), "/nowhere", &error);
		content.data[at] ^= 0xff;
	}
	buf_finish(&content);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("elf_file");
	TCase *tests = tcase_create("examine");
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_a_plugin_is_sound_and_its_manifest_is_found);
	tcase_add_test(tests, test_every_beginning_of_a_plugin_is_incomplete);
	tcase_add_test(tests, test_what_is_no_plugin_at_all);
	tcase_add_test(tests, test_what_was_built_for_others);
	tcase_add_test(tests, test_a_program_is_no_plugin);
	tcase_add_test(tests, test_private_helpers_are_refused);
	tcase_add_test(tests, test_initial_exec_tls_is_refused);
	tcase_add_test(tests, test_nodelete_is_seen);
	tcase_add_test(tests, test_every_byte_of_the_tables_may_be_wrong);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
