# What only the packages hold: the service, its configuration, and how CPack makes them (tools/package/build). The files of
# each package are those of the component of its name: sofund from host/ and plugins/, sofun from tools/, sofun-dev from
# plugin-api/.
set(here ${CMAKE_CURRENT_LIST_DIR})

install(FILES ${here}/sofund.service DESTINATION lib/systemd/system COMPONENT sofund)
set(settings ${CMAKE_BINARY_DIR}/sofun.yaml)
add_custom_command(OUTPUT ${settings} COMMAND sofund --settings yaml > ${settings} DEPENDS sofund VERBATIM)
add_custom_target(package-settings ALL DEPENDS ${settings})
install(FILES ${settings} DESTINATION /etc/sofun COMPONENT sofund)
foreach(component sofund sofun sofun-dev)
	install(FILES ${here}/copyright DESTINATION share/doc/${component} COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # for /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL sofund sofun sofun-dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The authors of sofun <sofun@localhost>")
set(CPACK_PACKAGE_VENDOR sofun)
set(CPACK_PACKAGE_CONTACT ${CPACK_DEBIAN_PACKAGE_MAINTAINER})
set(CPACK_STRIP_FILES ON)

set(CPACK_COMPONENT_SOFUND_DESCRIPTION "${PROJECT_DESCRIPTION}: the host
 Loads functions from shared objects beside the running ones, gives them messages and
 durable state, and lets each accepted record have its effect exactly once.")
set(CPACK_DEBIAN_SOFUND_PACKAGE_NAME sofund)
set(CPACK_DEBIAN_SOFUND_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SOFUND_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SOFUND_PACKAGE_DEPENDS "adduser, init-system-helpers")
set(CPACK_DEBIAN_SOFUND_PACKAGE_RECOMMENDS sofun)
set(CPACK_DEBIAN_SOFUND_PACKAGE_CONTROL_EXTRA ${here}/postinst ${here}/prerm ${here}/postrm ${here}/conffiles)

set(CPACK_COMPONENT_SOFUN_DESCRIPTION "${PROJECT_DESCRIPTION}: the command
 Gives plugins to a running sofund, sends it messages and records, and shows what it does.")
set(CPACK_DEBIAN_SOFUN_PACKAGE_NAME sofun)
set(CPACK_DEBIAN_SOFUN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SOFUN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SOFUN_PACKAGE_SUGGESTS "sofund, sofun-dev")

set(CPACK_COMPONENT_SOFUN-DEV_DESCRIPTION "${PROJECT_DESCRIPTION}: for authors of plugins
 Headers, a CMake package, pkg-config files, and the library that tests plugins without a host.")
set(CPACK_DEBIAN_SOFUN-DEV_PACKAGE_NAME sofun-dev)
set(CPACK_DEBIAN_SOFUN-DEV_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_SOFUN-DEV_PACKAGE_RECOMMENDS "sofun, sofund, pkg-config | cmake")
include(CPack)
