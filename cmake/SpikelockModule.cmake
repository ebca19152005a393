# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)

# A module: static library spikelock_<name>, alias spikelock::<name>, public headers as a verified header set.
function(spikelock_add_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PUBLIC_HEADERS;SOURCES;DEPENDS;PRIVATE_DEPENDS")
  set(target spikelock_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(spikelock::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${arg_PUBLIC_HEADERS})
  target_include_directories(${target} PRIVATE src)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_DEPENDS}
    PRIVATE ${arg_PRIVATE_DEPENDS} $<BUILD_INTERFACE:spikelock_warnings>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON
    CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
endfunction()

# A Catch2 test program: spikelock_add_test(unit/base SOURCES a_test.cpp LABELS unit LIBRARIES spikelock::base)
function(spikelock_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LABELS;LIBRARIES;PROPERTIES")
  string(REPLACE "/" "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} Catch2::Catch2WithMain spikelock_warnings)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  catch_discover_tests(${target} TEST_PREFIX "" DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${arg_LABELS}" ${arg_PROPERTIES})
endfunction()
