# What is installed: the doors, the library with its CMake and pkg-config files, the command; and the .deb of it all.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(mailsbuddy PROPERTIES VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})  # 0.x: a minor release may break.

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mailsbuddy)
install(TARGETS mailsbuddy EXPORT mailsbuddy)
install(EXPORT mailsbuddy NAMESPACE mailsbuddy:: FILE mailsbuddyTargets.cmake DESTINATION ${cmake_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/mailsbuddy TYPE INCLUDE)
if(TARGET mailsbuddy_cli)
  set_target_properties(mailsbuddy_cli PROPERTIES INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
  install(TARGETS mailsbuddy_cli)
  set(completion ${CMAKE_CURRENT_BINARY_DIR}/completion.bash)
  add_custom_command(OUTPUT ${completion} DEPENDS mailsbuddy_cli COMMAND mailsbuddy_cli completion bash > ${completion})
  add_custom_target(completion ALL DEPENDS ${completion})
  install(FILES ${completion} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME mailsbuddy)
endif()
install(FILES LICENSE README.md CHANGELOG.md TYPE DOC)

# A static library's users must link what it links; a shared one does so itself. Only one of the two is installed, so
# pkg-config names these without --static.
if(BUILD_SHARED_LIBS)
  set(MAILSBUDDY_STATIC OFF)
  set(pc_requires "")
  set(pc_libs "")
else()
  set(MAILSBUDDY_STATIC ON)
  set(pc_requires "libuv libcares libcurl zlib openssl fmt libidn2 libpsl rocksdb")
  set(pc_libs "-pthread -lunbound -lresolv")
  if(MAILSBUDDY_WITH_OPENDKIM)
    string(APPEND pc_requires " opendkim")
  endif()
endif()

configure_package_config_file(cmake/mailsbuddyConfig.cmake.in mailsbuddyConfig.cmake INSTALL_DESTINATION ${cmake_dir}
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(mailsbuddyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mailsbuddyConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/mailsbuddyConfigVersion.cmake DESTINATION ${cmake_dir})

# Relative to where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/mailsbuddy.pc.in mailsbuddy.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mailsbuddy.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mailsbuddy)
set(CPACK_PACKAGE_CONTACT "The mailsbuddy authors <mailsbuddy@localhost>")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_CURRENT_BINARY_DIR})  # Where a shared libmailsbuddy is built.
if(MAILSBUDDY_STATIC)  # The command runs without these; linking the static library takes them.
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS
      "libuv1-dev, libc-ares-dev, libcurl4-openssl-dev, libunbound-dev, zlib1g-dev, libssl-dev, libfmt-dev, libidn2-dev, libpsl-dev, librocksdb-dev, pkg-config")
  if(MAILSBUDDY_WITH_OPENDKIM)
    string(APPEND CPACK_DEBIAN_PACKAGE_RECOMMENDS ", libopendkim-dev")
  endif()
endif()
include(CPack)
