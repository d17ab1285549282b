/* http_file.h - files of one folder, and nothing outside it: names, opening, validators.
 *
 * Ownership  results are appended to the caller's buffers; a descriptor is the caller's.
 * Threads    any. Opening may block, and is for libuv's thread pool.
 * Units      bytes; seconds since 1970.
 * Errors     false, or a negative errno.
 */
#ifndef LEAT_HTTP_HTTP_FILE_H
#define LEAT_HTTP_HTTP_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/slice.h"
#include "wire/http.h"

/* Turns a request's path into one relative to the folder, zero-terminated ("" for "/"). False if it
 * names nothing that may be served: dots, empty segments, hidden files (but .well-known), zero
 * bytes, malformed escapes. */
bool leat_http_file_resolve(leat_slice path, leat_buf *out);

/* Opens a file, or index.html of a folder whose name ends in a slash (or is ""), without ever
 * leaving the folder, symbolic links included. Returns a descriptor and writes *st, or -errno;
 * -EISDIR for a folder without its slash. */
int leat_http_file_open(const char *folder, const char *relative, struct stat *st);

/* The content type by the name's ending. */
const char *leat_http_file_type(const char *name);

/* True for "" and a name that ends in a slash. */
bool leat_http_file_is_folder(const char *relative);

/* Appends a file's ETag (quoted) and Last-Modified (unless it is NULL), zero-terminated. gzip:
 * those of its compressed form, whose bytes are others. */
void leat_http_file_validators(const struct stat *st, bool gzip, leat_buf *etag,
                               leat_buf *modified);

/* The status that the conditions of the request lead to (RFC 9110 §13): 304 if it has just that
 * version, 412 if it wants another one only; else 0. */
int leat_http_file_condition(const leat_http_request *r, const char *etag, int64_t modified_s);

#endif
