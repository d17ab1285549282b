# Cross compilation for arm64 on Debian, with its own libraries of that architecture (multiarch):
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross libuv1-dev:arm64 libpq-dev:arm64 liblua5.4-dev:arm64 \
#     libssl-dev:arm64 libcurl4-openssl-dev:arm64 zlib1g-dev:arm64 libnanopb-dev:arm64
#   cmake --preset package-arm64 && cmake --build --preset package-arm64 && (cd build/package-arm64 && DEB_HOST_ARCH=arm64 cpack)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# Programs (nanopb, Lua, gzip) are those of this machine; headers and libraries are only those of arm64.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
# CPack asks the machine that it runs on otherwise.
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
