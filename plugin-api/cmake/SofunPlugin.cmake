# sofun_add_plugin(<name> SOURCES <file>... [VERSION <MAJOR.MINOR.PATCH>] [OUTPUT_NAME <file name>])
#
# Makes the target <name>: a shared object <name>.so that a sofun host can load. C and C++. VERSION reaches the source
# as the string SOFUN_PLUGIN_VERSION. Libraries to link are added as usual; link static ones where you can: the host
# refuses a plugin that brings shared libraries of its own along.

# Beside this file in the tree as in an installation.
set(SOFUN_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map CACHE INTERNAL "What a plugin exports")

function(sofun_add_plugin name)
	cmake_parse_arguments(PARSE_ARGV 1 plugin "" "VERSION;OUTPUT_NAME" "SOURCES")
	if(NOT plugin_SOURCES OR plugin_UNPARSED_ARGUMENTS)
		message(FATAL_ERROR "sofun_add_plugin(${name} SOURCES <file>... [VERSION <x.y.z>] [OUTPUT_NAME <name>]); "
			"got: ${ARGN}")
	endif()
	add_library(${name} MODULE ${plugin_SOURCES})
	target_link_libraries(${name} PRIVATE sofun::sofun)

	# The file is NAME.so, has no SONAME that a second version could be confused with, and finds nothing beside itself.
	set_target_properties(${name} PROPERTIES PREFIX "" NO_SONAME ON POSITION_INDEPENDENT_CODE ON
		SKIP_BUILD_RPATH ON INSTALL_RPATH "" LINK_DEPENDS ${SOFUN_PLUGIN_MAP})
	if(plugin_OUTPUT_NAME)
		set_target_properties(${name} PROPERTIES OUTPUT_NAME ${plugin_OUTPUT_NAME})
	endif()
	if(plugin_VERSION)
		target_compile_definitions(${name} PRIVATE SOFUN_PLUGIN_VERSION="${plugin_VERSION}")
	endif()

	# Nothing but the descriptor is seen from outside. GNU_UNIQUE symbols (g++, templates) would pin the image forever.
	target_compile_options(${name} PRIVATE -fvisibility=hidden
		$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>
		$<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
	target_link_options(${name} PRIVATE LINKER:--version-script=${SOFUN_PLUGIN_MAP} LINKER:--as-needed)

	# A missing symbol shows now, not at load. clang leaves a sanitizer's symbols to the program that loads the plugin.
	get_directory_property(link_options LINK_OPTIONS)
	set(flags "${link_options} ${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}")
	if(NOT (CMAKE_C_COMPILER_ID MATCHES "Clang" AND flags MATCHES "-fsanitize"))
		target_link_options(${name} PRIVATE LINKER:-z,defs)
	endif()
endfunction()
