/* log_json.h - a line of the log as a JSON object, for log_format = "json".
 *
 *   2026-11-23T18:31:58.123Z INFO sub ended topic=chat:42 code=not_found
 *   {"time":"2026-11-23T18:31:58.123Z","level":"info","subsystem":"sub","message":"ended",
 *    "topic":"chat:42","code":"not_found"}
 *
 * Ownership  nothing is kept.
 * Threads    any.
 * Units      bytes.
 * Errors     none: whatever the line is, the object is valid JSON in UTF-8.
 */
#ifndef LEAT_BASE_LOG_JSON_H
#define LEAT_BASE_LOG_JSON_H

#include <stddef.h>

/* An object has no more bytes than this for a line of so many. */
#define LEAT_LOG_JSON_MAX(line_len) (3 * (line_len) + 64)

/* Writes the object for a line that leat_log has formatted; out has LEAT_LOG_JSON_MAX(len) bytes.
 * Returns the object's length. No byte of zero follows.
 *
 * A value that is a decimal number of at most 15 digits is a number, each other one is a string. A
 * field whose name is one of the four first keys has an underscore behind it. */
size_t leat_log_json(char *out, const char *line, size_t len);

#endif
