# The flags that all of our C shares: the target sofun_flags. Plugins have flags of their own (plugin-api).

add_library(sofun_flags INTERFACE)
target_compile_definitions(sofun_flags INTERFACE _GNU_SOURCE)
target_compile_options(sofun_flags INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -fno-common
	$<$<BOOL:${SOFUN_WERROR}>:-Werror>)

if(SOFUN_MUTANTS)
	target_compile_definitions(sofun_flags INTERFACE SOFUN_MUTANTS=1)
endif()

if(SOFUN_SANITIZER STREQUAL "address")
	# Both in one build: they fit together, and the suite takes its time.
	set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(SOFUN_SANITIZER STREQUAL "undefined")
	set(sanitize -fsanitize=undefined -fno-sanitize-recover=all)
elseif(SOFUN_SANITIZER STREQUAL "thread")
	set(sanitize -fsanitize=thread)
elseif(NOT SOFUN_SANITIZER STREQUAL "")
	message(FATAL_ERROR "SOFUN_SANITIZER is '${SOFUN_SANITIZER}'; known are address, undefined and thread")
endif()
if(sanitize)
	add_compile_options(${sanitize})
	add_link_options(${sanitize})
	# Plugins are built alike: they call into a host that has the sanitizer's run-time library.
	add_compile_definitions(SOFUN_SANITIZED=1)
endif()

if(SOFUN_COVERAGE)
	add_compile_options(--coverage)
	add_link_options(--coverage)
endif()

if(SOFUN_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
		message(FATAL_ERROR "SOFUN_FUZZ needs clang; configure with -DCMAKE_C_COMPILER=clang (apt-get install clang)")
	endif()
	add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
		-fprofile-instr-generate -fcoverage-mapping)
	add_link_options(-fsanitize=address,undefined -fprofile-instr-generate)
endif()
