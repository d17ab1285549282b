/* check.c - leat_check_run lets each examiner look in turn: the environment, the app, the
 * certificates, the database (doctor.h). leat_check_start asks only those whose findings keep a
 * server from starting. */
#include "engine/check.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/certificates.h"
#include "engine/check_app.h"
#include "engine/config_near.h"
#include "engine/doctor.h"

/* Descriptors that are no clients: the database, files, the loops' own. */
enum { OTHER_DESCRIPTORS = 128 };

/* The server raises its limit of open files as far as it may. */
static void look_at_descriptors(const leat_config *config, const leat_doctor *doctor)
{
    struct rlimit limit;
    leat_buf problem = LEAT_BUF_INIT;
    size_t wanted = config->limits.max_connections + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY ||
        limit.rlim_max >= wanted)
        return;
    leat_buf_printf(&problem,
                    "%llu files may be open at the same time here, and max_connections is %zu",
                    (unsigned long long)limit.rlim_max, config->limits.max_connections);
    leat_buf_char(&problem, '\0');
    doctor->on_finding(doctor->arg,
                       &(leat_finding){LEAT_SEVERITY_WARNING, problem.at,
                                       "raise the limit (ulimit -Hn, LimitNOFILE of the service), "
                                       "or lower max_connections"});
    leat_buf_close(&problem);
}

/* Warns of variables whose names are nearly those of keys. Others that begin with LEAT_ belong to
 * somebody else. */
static void look_at_variables(const leat_doctor *doctor)
{
    for (char **at = environ; *at != NULL; at++) {
        leat_buf name = LEAT_BUF_INIT, problem = LEAT_BUF_INIT;
        char right[LEAT_CONFIG_VARIABLE_MAX];
        leat_buf_append(&name, *at, strcspn(*at, "="));
        leat_buf_char(&name, '\0');
        const leat_config_key *key = leat_config_near_variable(name.at);
        if (key != NULL) {
            leat_config_key_variable(key, right);
            leat_buf_printf(&problem,
                            "the environment variable %s is of no key; the one of key %s is %s",
                            name.at, key->name, right);
            leat_buf_char(&problem, '\0');
            doctor->on_finding(doctor->arg, &(leat_finding){LEAT_SEVERITY_WARNING, problem.at,
                                                            "correct its name, or remove it"});
        }
        leat_buf_close(&problem);
        leat_buf_close(&name);
    }
}

void leat_check_run(const leat_config *config, leat_check_report *report)
{
    leat_doctor doctor = leat_check_report_doctor(report);
    leat_app_statements statements;
    doctor.on_fact(doctor.arg, "configuration",
                   config->file != NULL ? config->file : "no file: defaults and the environment");
    look_at_variables(&doctor);
    look_at_descriptors(config, &doctor);
    int app_err = leat_check_app(config, &doctor, &statements);
    int tls_err = leat_certificates_examine(config, &doctor);
    int err = leat_doctor_examine(config, &doctor);
    if (err == 0)
        leat_check_app_statements(config, &doctor, &statements);
    leat_check_app_free(&statements);
    LEAT_ASSERT((app_err == 0 && tls_err == 0 && err == 0) || report->n_errors > 0);
}

/* --- before serving --- */

static void on_no_fact(void *arg, const char *what, const char *fact)
{
    (void)arg;
    (void)what;
    (void)fact;
}

struct start {
    leat_buf *error;
    const char *subsystem; /* of the log */
};

/* What keeps a server from serving becomes its last words. Of the rest it warns, and serves. */
static void on_start_finding(void *arg, const leat_finding *f)
{
    const struct start *start = arg;
    leat_buf *error = start->error;
    if (f->severity == LEAT_SEVERITY_FATAL) {
        if (error->len > 0)
            leat_buf_text(error, "\nleat: ");
        leat_check_report_print(error, f);
        return;
    }
    char problem[512], remedy[512];
    leat_log_quote(problem, sizeof(problem), f->problem, strlen(f->problem));
    leat_log_quote(remedy, sizeof(remedy), f->remedy, strlen(f->remedy));
    if (f->severity == LEAT_SEVERITY_NOTE)
        LEAT_LOG_INFO(start->subsystem, "note problem=%s remedy=%s", problem, remedy);
    else
        LEAT_LOG_WARN(start->subsystem, "%s problem=%s remedy=%s", leat_severity_name(f->severity),
                      problem, remedy);
}

int leat_check_start(const leat_config *config, leat_buf *error)
{
    struct start start = {error, "tls"};
    leat_doctor doctor = {on_start_finding, on_no_fact, &start};
    int err = leat_certificates_examine(config, &doctor);
    return err < 0 ? err : leat_check_database(config, error);
}

int leat_check_database(const leat_config *config, leat_buf *error)
{
    struct start start = {error, "database"};
    leat_doctor doctor = {on_start_finding, on_no_fact, &start};
    return leat_doctor_examine(config, &doctor);
}

bool leat_check_is_unreachable(int err)
{
    return err == LEAT_EPG_LOST || err == LEAT_EDEADLINE;
}
