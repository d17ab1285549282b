#include "engine/check_report.h"

#include "wire/json.h"

void leat_check_report_begin(leat_check_report *r, leat_buf *out, bool is_json)
{
    *r = (leat_check_report){
        .out = out, .is_json = is_json, .facts = LEAT_BUF_INIT, .findings = LEAT_BUF_INIT};
}

/* Appends "name": "text", with a comma before it unless it is the first of its object. */
static void add_member(leat_buf *out, const char *name, const char *text)
{
    leat_buf_printf(out, "%s\"%s\": ", out->at[out->len - 1] == '{' ? "" : ", ", name);
    leat_json_write_text(out, leat_slice_of(text));
}

static void begin_object(leat_buf *list)
{
    leat_buf_text(list, list->len > 0 ? ",\n  {" : "\n  {");
}

static void on_fact(void *arg, const char *what, const char *fact)
{
    leat_check_report *r = arg;
    if (!r->is_json) {
        leat_buf_printf(r->out, "%s: ok (%s)\n", what, fact);
        return;
    }
    begin_object(&r->facts);
    add_member(&r->facts, "what", what);
    add_member(&r->facts, "fact", fact);
    leat_buf_char(&r->facts, '}');
}

static void on_finding(void *arg, const leat_finding *f)
{
    leat_check_report *r = arg;
    const char *severity = leat_severity_name(f->severity);
    r->n_errors += f->severity >= LEAT_SEVERITY_ERROR;
    r->n_warnings += f->severity == LEAT_SEVERITY_WARNING;
    if (!r->is_json) {
        leat_buf_printf(r->out, "%s: ", severity);
        leat_check_report_print(r->out, f);
        leat_buf_char(r->out, '\n');
        return;
    }
    begin_object(&r->findings);
    add_member(&r->findings, "severity", severity);
    add_member(&r->findings, "problem", f->problem);
    add_member(&r->findings, "remedy", f->remedy);
    leat_buf_char(&r->findings, '}');
}

leat_doctor leat_check_report_doctor(leat_check_report *r)
{
    return (leat_doctor){on_finding, on_fact, r};
}

void leat_check_report_print(leat_buf *out, const leat_finding *f)
{
    leat_buf_text(out, f->problem);
    if (f->remedy[0] != '\0')
        leat_buf_printf(out, ": %s", f->remedy);
}

void leat_check_report_end(leat_check_report *r)
{
    if (r->is_json) {
        leat_buf_printf(r->out, "{\"ok\": %s, \"errors\": %zu, \"warnings\": %zu, \"facts\": [",
                        r->n_errors == 0 ? "true" : "false", r->n_errors, r->n_warnings);
        leat_buf_slice(r->out, leat_buf_view(&r->facts));
        leat_buf_text(r->out, "], \"findings\": [");
        leat_buf_slice(r->out, leat_buf_view(&r->findings));
        leat_buf_text(r->out, "]}\n");
    }
    leat_buf_close(&r->facts);
    leat_buf_close(&r->findings);
}
