/* report.c - the log tells all failures, but for those that a client caused and nobody can mend;
 * the last errors (core/last_errors.h) are kept for whoever asks later.
 */
#include "script/task/report.h"

#include "base/buf.h"
#include "base/log.h"
#include "wire/redact.h"

enum {
    NAME_BYTES = 300,
    TEXT_BYTES = 4096,
};

static void keep(const leat_report *r, const leat_vm_failure *f, leat_slice text)
{
    leat_buf name = LEAT_BUF_INIT, clean = LEAT_BUF_INIT;
    leat_head head =
        r->head.at == NULL ? (leat_head){.method = {NULL, 0}} : leat_head_read(r->head);
    leat_redact(&name, r->name, &head, NAME_BYTES);
    leat_redact(&clean, text, &head, TEXT_BYTES);
    leat_last_errors_add(&r->core->last_errors, &(leat_script_failure){
                                                    .handler = r->handler,
                                                    .name = leat_buf_view(&name),
                                                    .code = f->code,
                                                    .sqlstate = f->sqlstate,
                                                    .text = leat_buf_view(&clean),
                                                });
    leat_buf_close(&name);
    leat_buf_close(&clean);
}

void leat_report_failure(const leat_report *r, const leat_vm_failure *f)
{
    char name[NAME_BYTES];
    char text[TEXT_BYTES];
    bool script_failed = f->trace.len > 0;
    if (!script_failed && !f->read_failed)
        return;
    leat_slice raw = leat_buf_view(script_failed ? &f->trace : &f->message);
    const char *sqlstate = f->sqlstate[0] != '\0' ? " sqlstate=" : "";
    leat_redact_quote(name, sizeof(name), r->name, r->head);
    leat_redact_quote(text, sizeof(text), raw, r->head);
    if (script_failed) {
        leat_labelled_add(r->counts, LEAT_L_ERRORS, 1);
        LEAT_LOG_ERROR("script", "script failed handler=%s %s=%s%s%s err=%s", r->handler, r->label,
                       name, sqlstate, f->sqlstate, text);
    } else {
        /* An operator cannot mend what a client has sent. */
        leat_log_level level =
            f->code == LEAT_CODE_BAD_REQUEST ? LEAT_LOG_LEVEL_INFO : LEAT_LOG_LEVEL_WARN;
        leat_log_write(level, "script", "read failed handler=%s %s=%s code=%s%s%s err=%s",
                       r->handler, r->label, name, leat_code_name(f->code), sqlstate, f->sqlstate,
                       text);
    }
    if (f->code != LEAT_CODE_BAD_REQUEST)
        keep(r, f, raw);
}

void leat_report_deadline(const leat_report *r, leat_code code)
{
    char name[NAME_BYTES];
    leat_redact_quote(name, sizeof(name), r->name, r->head);
    LEAT_LOG_WARN("script", "deadline passed handler=%s %s=%s code=%s", r->handler, r->label, name,
                  leat_code_name(code));
}
