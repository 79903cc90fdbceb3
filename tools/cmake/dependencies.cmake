# Finds the libraries of DESIGN section 9 and says which Debian packages are missing, all in one go.

set(missing "")

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
	message(FATAL_ERROR "pkg-config is missing; install it with: apt-get install pkg-config")
endif()

# dependency(<name> <pkg-config modules> <Debian package>) makes the target PkgConfig::<name>.
macro(dependency name modules package)
	pkg_check_modules(${name} QUIET IMPORTED_TARGET ${modules})
	if(NOT ${name}_FOUND)
		list(APPEND missing ${package})
	endif()
endmacro()

dependency(EVENT "libevent_core>=2.1;libevent_extra>=2.1;libevent_pthreads>=2.1" libevent-dev)
dependency(MSGPACK "msgpack" libmsgpack-dev)
dependency(JANSSON "jansson>=2.10" libjansson-dev)
dependency(YAML "yaml-0.1" libyaml-dev)
dependency(ELF "libelf" libelf-dev)
dependency(TLS "libevent_openssl>=2.1;libssl" libssl-dev)
dependency(CRYPTO "libcrypto" libssl-dev)
if(BUILD_TESTING)
	dependency(CHECK "check" check)
endif()

# LevelDB has a CMake package and no .pc. Its target also asks for -lsnappy, which only a static LevelDB needs and whose
# development package Debian does not install with it; so the library is linked by its file.
find_package(leveldb 1.23 QUIET CONFIG)
find_package(Threads REQUIRED)
if(leveldb_FOUND)
	add_library(sofun_leveldb INTERFACE)
	get_target_property(include_directories leveldb::leveldb INTERFACE_INCLUDE_DIRECTORIES)
	target_include_directories(sofun_leveldb SYSTEM INTERFACE ${include_directories})
	target_link_libraries(sofun_leveldb INTERFACE $<TARGET_FILE:leveldb::leveldb> Threads::Threads)
else()
	list(APPEND missing libleveldb-dev)
endif()

if(missing)
	list(JOIN missing " " packages)
	message(FATAL_ERROR "Missing Debian packages; install them with: apt-get install ${packages}")
endif()
