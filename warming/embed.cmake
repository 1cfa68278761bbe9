# Writes a text file as the source of one string: cmake -D IN=file -D OUT=file -D NAME=kName -D HEADER=path -P embed.cmake
file(READ ${IN} text)
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nnamespace mailsbuddy::warming {\n\n"
     "const std::string_view ${NAME} = R\"data(${text})data\";\n\n}  // namespace mailsbuddy::warming\n")
