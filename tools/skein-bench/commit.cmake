# cmake -DSOURCE=DIR -DHEADER=FILE -P commit.cmake: writes the commit that is built, marked if the tree has changes.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
set(text "// Made by commit.cmake.\n#pragma once\n\nnamespace skein::bench {\n\ninline constexpr char kCommit[] = \"${commit}\";\n\n}  // namespace skein::bench\n")
set(old "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${HEADER} "${text}")
endif()
