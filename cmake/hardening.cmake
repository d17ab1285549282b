# Target leat_hardening: what makes a memory error in an optimised build harder to use. Everything that is
# linked into leat links it. spec/integration/hardening_spec.lua looks at the result.
#
# Sanitizers bring checks of their own, and _FORTIFY_SOURCE needs an optimiser: such builds go without.
# Each option that a compiler does not know is left out; so an older or foreign compiler still builds.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

add_library(leat_hardening INTERFACE)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(LEAT_HARDEN AND NOT LEAT_SANITIZE AND NOT LEAT_COVERAGE)
  set(optimised $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)
  # Level 3 also checks objects whose size is known at run time only; gcc has it since 12.
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 12)
    set(fortify 2)
  else()
    set(fortify 3)
  endif()
  # -U first: some distributions' compilers define it themselves.
  target_compile_options(leat_hardening INTERFACE
    $<${optimised}:-U_FORTIFY_SOURCE> $<${optimised}:-D_FORTIFY_SOURCE=${fortify}>)
  # -fno-plt: functions of libraries are bound at the start (-z now), so each is called by its address.
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
               -ftrivial-auto-var-init=zero -fno-plt)
    string(MAKE_C_IDENTIFIER "LEAT_HAS${flag}" known)
    check_c_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(leat_hardening INTERFACE $<${optimised}:${flag}>)
    endif()
  endforeach()
  # The linker marks a binary for CET only if all of its parts are marked, and Debian's start files
  # (crt1.o, crti.o) are not. Ours all are (-fcf-protection), so the marks are set by hand. Where a shadow
  # stack is enforced, nothing in the start files or in nanopb's archive disturbs it; no Linux enforces IBT for programs.
  if(LEAT_HAS_fcf_protection_full)
    set(cet -Wl,-z,ibt -Wl,-z,shstk)
  endif()
  foreach(flag ${cet} -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code)
    string(MAKE_C_IDENTIFIER "LEAT_HAS${flag}" known)
    check_linker_flag(C ${flag} ${known})
    if(${known})
      target_link_options(leat_hardening INTERFACE $<${optimised}:${flag}>)
    endif()
  endforeach()
endif()
