/* doctor_sql.h - the doctor's questions that are answered with findings: severity, problem, remedy.
 *
 * Ownership  constants.
 * Threads    any.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_ENGINE_DOCTOR_SQL_H
#define LEAT_ENGINE_DOCTOR_SQL_H

/* The rights that the connected role lacks in schemas leat and leat_internal. */
extern const char leat_doctor_role_sql[];

/* Which settings of the role or the database would change how results are written, where a pooler
 * does not keep what is SET. Asked in a session that has set nothing. */
extern const char leat_doctor_formats_sql[];

/* Who holds the locks for which sessions named "leat check" wait, "123 (psql, of alice)"; NULL:
 * none waits. */
extern const char leat_doctor_blockers_sql[];

/* Settings of Postgres that do not go with this configuration. The text follows
 * "with wanted (connections, max_ms) as (values (…, …)),". */
extern const char leat_doctor_settings_sql[];

#endif
