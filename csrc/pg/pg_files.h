/* pg_files.h - the files that libpq may read when it connects.
 *
 * Ownership  paths are borrowed by the callback.
 * Threads    any.
 * Units      none.
 * Errors     none: of a malformed connection string, only what does not depend on it is told.
 */
#ifndef LEAT_PG_PG_FILES_H
#define LEAT_PG_PG_FILES_H

typedef void (*leat_pg_files_cb)(void *arg, const char *path);

/* Calls cb for each path: certificates, keys, the password file and so on, whether they exist or
 * not. */
void leat_pg_files(const char *conninfo, leat_pg_files_cb cb, void *arg);

#endif
