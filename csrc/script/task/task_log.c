#include "script/task/task_log.h"

#include "base/log.h"
#include "script/task/session.h"
#include "wire/redact.h"

/* The packed head of the request that the task is about; empty: there is none. */
static leat_slice head_of(const leat_task *t)
{
    leat_slice own = t == NULL ? (leat_slice){NULL, 0} : leat_task_given(t, LEAT_TASK_HEAD);
    return own.len == 0 && t != NULL && t->session != NULL ? leat_session_head(t->session) : own;
}

const char *leat_task_quote(char *out, size_t size, leat_slice text, const leat_task *t)
{
    leat_slice packed = head_of(t);
    if (packed.len == 0)
        return leat_log_quote(out, size, text.at, text.len);
    leat_buf clean = LEAT_BUF_INIT;
    leat_head head = leat_head_read(packed);
    leat_redact(&clean, text, &head);
    leat_log_quote(out, size, clean.at, clean.len);
    leat_buf_close(&clean);
    return out;
}

void leat_task_log_deadline(const leat_task *t, leat_code code)
{
    char name[300];
    LEAT_LOG_WARN("script", "deadline passed handler=%s %s=%s code=%s", t->kind->name,
                  t->kind->label, leat_task_quote(name, sizeof(name), leat_task_name(t), t),
                  leat_code_name(code));
}

void leat_task_log_failure(const leat_task *t, const leat_vm_failure *f)
{
    char name[300];
    char text[4096];
    leat_task_quote(name, sizeof(name), leat_task_name(t), t);
    if (f->trace.len > 0) {
        leat_task_quote(text, sizeof(text), leat_buf_view(&f->trace), t);
        LEAT_LOG_ERROR("script", "script failed handler=%s %s=%s%s%s err=%s", t->kind->name,
                       t->kind->label, name, f->sqlstate[0] != '\0' ? " sqlstate=" : "",
                       f->sqlstate, text);
    } else if (f->read_failed) {
        leat_task_quote(text, sizeof(text), leat_buf_view(&f->message), t);
        /* An operator cannot mend what a client has sent. */
        leat_log_level level =
            f->code == LEAT_CODE_BAD_REQUEST ? LEAT_LOG_LEVEL_INFO : LEAT_LOG_LEVEL_WARN;
        leat_log_write(level, "script", "read failed handler=%s %s=%s code=%s%s%s err=%s",
                       t->kind->name, t->kind->label, name, leat_code_name(f->code),
                       f->sqlstate[0] != '\0' ? " sqlstate=" : "", f->sqlstate, text);
    }
}
