# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)

# A module: static library spikelock_<name>, alias spikelock::<name>, public headers as a header set
# whose members are compiled one by one by the target all_verify_interface_header_sets.
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

# A Catch2 test program, each of its cases a CTest:
#   spikelock_add_test(unit/base SOURCES a_test.cpp LABELS unit LIBRARIES spikelock::base)
function(spikelock_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LABELS;LIBRARIES;PROPERTIES")
  string(REPLACE "/" "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} Catch2::Catch2WithMain
    spikelock_warnings)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  catch_discover_tests(${target} TEST_PREFIX "" DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${arg_LABELS}" SKIP_RETURN_CODE 4 ${arg_PROPERTIES})
endfunction()

# A Google Benchmark program build/<preset>/bin/bench_<name>; its figures get their bars in
# bench/entries.toml:
#   spikelock_add_bench(hash SOURCES bench_hash.cpp LIBRARIES spikelock::base)
function(spikelock_add_bench name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  set(target bench_${name})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} benchmark::benchmark_main
    spikelock_warnings)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# A fuzz target from one file with LLVMFuzzerTestOneInput: a test that replays its corpus
# (tests/fuzz/corpus/<name>) in every preset, and with SPIKELOCK_FUZZ also fuzz_<name>. All belong
# to the target `fuzzers`:
#   spikelock_add_fuzz(base_text SOURCES base_text_fuzz.cpp LIBRARIES spikelock::base)
function(spikelock_add_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  set(replay fuzz_${name}_replay)
  add_executable(${replay} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
  target_compile_definitions(${replay} PRIVATE SPIKELOCK_FUZZ_REPLAY)
  set(targets ${replay})
  if(SPIKELOCK_FUZZ)
    add_executable(fuzz_${name} ${arg_SOURCES})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    list(APPEND targets fuzz_${name})
  endif()
  add_dependencies(fuzzers ${targets})
  foreach(target IN LISTS targets)
    target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} spikelock_warnings)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  endforeach()
  add_test(NAME "fuzz/${name}: the corpus is handled"
    COMMAND ${replay} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set_tests_properties("fuzz/${name}: the corpus is handled" PROPERTIES LABELS unit)
endfunction()
