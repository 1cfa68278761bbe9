# Compiler settings, dependencies, and the two verbs the rooms use: mailsbuddy_room() and mailsbuddy_test().

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Developer builds link over a hundred test programs: mold takes a third of the time of GNU ld.
find_program(MOLD mold)
if(MOLD AND CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(LIBCURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(LIBIDN2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(LIBPSL REQUIRED IMPORTED_TARGET libpsl)
pkg_check_modules(ROCKSDB REQUIRED IMPORTED_TARGET rocksdb>=7.8)
# Linked by name: Debian's libunbound.pc asks for the -dev packages of what libunbound itself is made with.
find_path(LIBUNBOUND_INCLUDE unbound.h REQUIRED)
option(MAILSBUDDY_OPENDKIM "Build libopendkim in as the second DKIM engine, where it is found" ON)
set(MAILSBUDDY_WITH_OPENDKIM OFF)
if(MAILSBUDDY_OPENDKIM)
  pkg_check_modules(OPENDKIM IMPORTED_TARGET opendkim)
  set(MAILSBUDDY_WITH_OPENDKIM ${OPENDKIM_FOUND})
endif()

add_library(mailsbuddy_flags INTERFACE)
target_compile_options(mailsbuddy_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast
                       -Wno-missing-field-initializers $<$<BOOL:${MAILSBUDDY_WERROR}>:-Werror>)
if(MAILSBUDDY_SANITIZE)
  target_compile_options(mailsbuddy_flags INTERFACE -fsanitize=${MAILSBUDDY_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(mailsbuddy_flags INTERFACE -fsanitize=${MAILSBUDDY_SANITIZE})
  # gcc 12 sees uninitialised members in moved std::optional and std::variant once the sanitizers' checks stand between.
  target_compile_options(mailsbuddy_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()

set_property(GLOBAL PROPERTY MAILSBUDDY_ROOMS "")

# mailsbuddy_room(NAME SOURCES file... [USES room-or-library...])
# One static library a room, mailsbuddy_NAME. USES names the rooms below it and its outside libraries.
function(mailsbuddy_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  set(target mailsbuddy_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_USES} PRIVATE $<BUILD_INTERFACE:mailsbuddy_flags> fmt::fmt)
  set_property(GLOBAL APPEND PROPERTY MAILSBUDDY_ROOMS ${target})
endfunction()

# The installed library: every room's objects in one archive, `mailsbuddy::mailsbuddy`.
function(mailsbuddy_library)
  get_property(rooms GLOBAL PROPERTY MAILSBUDDY_ROOMS)
  set(objects "")
  foreach(room ${rooms})
    list(APPEND objects $<TARGET_OBJECTS:${room}>)
  endforeach()
  add_library(mailsbuddy ${objects})
  add_library(mailsbuddy::mailsbuddy ALIAS mailsbuddy)
  set_target_properties(mailsbuddy PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(mailsbuddy PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:include>)
  target_compile_features(mailsbuddy PUBLIC cxx_std_20)
  target_link_libraries(mailsbuddy PUBLIC Threads::Threads PRIVATE fmt::fmt OpenSSL::SSL OpenSSL::Crypto
                        PkgConfig::LIBUV PkgConfig::CARES PkgConfig::LIBCURL unbound PkgConfig::ZLIB
                        PkgConfig::LIBIDN2 PkgConfig::LIBPSL PkgConfig::ROCKSDB resolv
                        $<$<BOOL:${MAILSBUDDY_WITH_OPENDKIM}>:PkgConfig::OPENDKIM>
                        $<BUILD_INTERFACE:mailsbuddy_flags>)
endfunction()

# mailsbuddy_test(NAME SOURCES file... [USES room...] [LABELS label...])
# A Boost.Test program registered with CTest. Sources see private headers; corpora are at $MAILSBUDDY_CORPORA or
# ../shared/corpora beside the project.
function(mailsbuddy_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LABELS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(test_${name} PRIVATE BOOST_TEST_DYN_LINK MAILSBUDDY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  list(GET ARG_SOURCES 0 main_source)  # Holds the program's main(): Boost.Test wants exactly one.
  set_property(SOURCE ${main_source} APPEND PROPERTY COMPILE_DEFINITIONS BOOST_TEST_MODULE=${name})
  target_link_libraries(test_${name} PRIVATE ${ARG_USES} mailsbuddy_flags fmt::fmt Boost::unit_test_framework)
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()

# mailsbuddy_fuzz(NAME SOURCES file... [USES room...])
# A libFuzzer target, fuzz_NAME, in the fuzz preset. Its seeds are in tests/<room>/seeds/NAME/. In all other builds the same
# program only runs its seeds, as a CTest: so it never stops compiling, and an input that once failed stays a test.
function(mailsbuddy_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_USES} mailsbuddy_flags fmt::fmt)
  if(MAILSBUDDY_FUZZ)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set_property(GLOBAL APPEND PROPERTY MAILSBUDDY_FUZZ_TARGETS fuzz_${name})
  else()
    if(NOT TARGET mailsbuddy_run_seeds)
      add_library(mailsbuddy_run_seeds OBJECT ${PROJECT_SOURCE_DIR}/tests/run_seeds.cc)
      target_link_libraries(mailsbuddy_run_seeds PRIVATE mailsbuddy_flags)
    endif()
    target_link_libraries(fuzz_${name} PRIVATE mailsbuddy_run_seeds)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${name})
    set_tests_properties(fuzz_${name} PROPERTIES LABELS "fuzz" TIMEOUT 120)
  endif()
endfunction()

# The target `fuzzers`: every fuzz target there is. Called last.
function(mailsbuddy_fuzzers)
  get_property(targets GLOBAL PROPERTY MAILSBUDDY_FUZZ_TARGETS)
  add_custom_target(fuzzers DEPENDS ${targets})
endfunction()

# The Python package, in bindings/python. Last of all users of the library, for its tests want the command.
macro(mailsbuddy_python)
  if(MAILSBUDDY_PYTHON)
    if(NOT Python_EXECUTABLE AND NOT SKBUILD AND EXISTS /usr/bin/python3)
      set(Python_EXECUTABLE /usr/bin/python3)  # Debian's, which its pybind11 is for.
    endif()
    set(PYBIND11_FINDPYTHON ON)
    if(MAILSBUDDY_PYTHON STREQUAL "AUTO")
      find_package(Python 3.10 QUIET COMPONENTS Interpreter Development.Module)
      find_package(pybind11 2.10 QUIET CONFIG)
    else()
      find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
      find_package(pybind11 2.10 REQUIRED CONFIG)
    endif()
    if(Python_FOUND AND pybind11_FOUND)
      add_subdirectory(bindings/python)
    else()
      message(STATUS "The Python package is not built: pybind11-dev and python3-dev are not both here")
    endif()
  endif()
endmacro()
