# cmake -D OUTPUT=FILE.c -D NAME=identifier -D FOLDER=DIR -D FILES="a;b" -P embed.cmake: writes the files as an array
# of struct embedded_file (tools/sofun/embedded.h).
set(body "/* Made by tools/cmake/embed.cmake of ${NAME}. */\n#include \"embedded.h\"\n\n")
set(rows "")
set(number 0)
foreach(file ${FILES})
	file(READ ${FOLDER}/${file} hex HEX)
	file(SIZE ${FOLDER}/${file} size)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(APPEND body "static const unsigned char file_${number}[] = {${bytes}0};\n")
	string(APPEND rows "\t{\"${file}\", file_${number}, ${size}},\n")
	math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "${body}\nconst struct embedded_file ${NAME}[] = {\n${rows}\t{0, 0, 0},\n};\n")
