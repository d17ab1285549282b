/* certificates.c - each pair of files is loaded as a server would load it (look_at_pair), and
 * what is wrong with it is a finding. */
#include "engine/certificates.h"

#include <time.h>

#include "net/tls_files.h"

/* Takes the text of the problem. */
static void find(const leat_doctor *doctor, leat_severity severity, leat_buf *problem,
                 const char *remedy)
{
    leat_buf_char(problem, '\0');
    doctor->on_finding(doctor->arg, &(leat_finding){severity, problem->at, remedy});
    leat_buf_close(problem);
}

static void look_at_time(const leat_doctor *doctor, const char *file, int64_t not_after_s)
{
    struct tm when;
    time_t expiry = (time_t)not_after_s;
    int64_t now_s = (int64_t)time(NULL);
    char date[32];
    leat_buf text = LEAT_BUF_INIT;
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", gmtime_r(&expiry, &when));
    leat_buf_printf(&text, "%s, expires %s", file, date);
    leat_buf_char(&text, '\0');
    doctor->on_fact(doctor->arg, "tls", text.at);
    text.len = 0;
    leat_tls_expiry_tell(&text, file, not_after_s, now_s);
    if (text.len > 0 && leat_tls_days_left(not_after_s, now_s) < 0)
        find(doctor, LEAT_SEVERITY_ERROR, &text, "renew it; clients refuse it");
    else if (text.len > 0)
        find(doctor, LEAT_SEVERITY_WARNING, &text, "renew it; a running server then takes it over");
    leat_buf_close(&text);
}

static void look_at_rights(const leat_doctor *doctor, const char *key)
{
    leat_buf text = LEAT_BUF_INIT;
    if (!leat_tls_is_exposed(key))
        return;
    leat_buf_printf(&text, "the key in %s is open to every user of this machine", key);
    find(doctor, LEAT_SEVERITY_WARNING, &text, "take the rights of others away: chmod o= FILE");
}

static int look_at_pair(const leat_doctor *doctor, const leat_tls_files *files,
                        const leat_tls_pair *pair)
{
    leat_tls_identity identity;
    leat_buf error = LEAT_BUF_INIT;
    leat_tls_tickets *tickets = leat_tls_tickets_new();
    int err =
        leat_tls_identity_load(&identity, pair, files->client_ca, files->clients, tickets, &error);
    if (err < 0) {
        find(doctor, LEAT_SEVERITY_FATAL, &error, "correct tls_certificate, tls_key or the files");
    } else {
        look_at_time(doctor, pair->certificate, identity.not_after_s);
        look_at_rights(doctor, pair->key);
        leat_tls_identity_free(&identity);
    }
    leat_tls_tickets_free(tickets);
    return err;
}

int leat_certificates_examine(const leat_config *config, const leat_doctor *doctor)
{
    leat_tls_files files = leat_config_tls_files(config);
    leat_tls_pairs pairs;
    leat_buf error = LEAT_BUF_INIT;
    if (config->tls_listen[0] == '\0')
        return 0;
    int err = leat_tls_pairs_parse(&pairs, files.certificates, files.keys, &error);
    if (err < 0) {
        find(doctor, LEAT_SEVERITY_FATAL, &error, "correct tls_certificate and tls_key");
        return err;
    }
    for (size_t i = 0; i < pairs.n; i++) {
        int failed = look_at_pair(doctor, &files, &pairs.at[i]);
        if (failed < 0)
            err = failed;
    }
    leat_tls_pairs_free(&pairs);
    return err;
}
