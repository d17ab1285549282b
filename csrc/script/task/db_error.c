/* db_error.c - what a failed statement is called: code_of gives the code, sentence_of the message
 * where Postgres itself said nothing. */
#include "script/task/db_error.h"

#include <string.h>

#include <lauxlib.h>

#include "core/admission.h"
#include "script/task/origin.h"
#include "script/value/refusal.h"

/* The statement that failed; NULL: it failed before it was sent. */
static const leat_db_statement *failed_of(const leat_task *t)
{
    return t->db.failed == LEAT_DB_NONE ? NULL : &t->db.statements[t->db.failed];
}

/* True if Postgres refused a value (class 22, data exception) and the client has sent one of the
 * parameters. Postgres names the refused parameter only in a translated message, so any counts. */
static bool is_clients_fault(const leat_task *t, const char *sqlstate)
{
    const leat_db_statement *s = failed_of(t);
    if (strncmp(sqlstate, "22", 2) != 0 || s == NULL)
        return false;
    const leat_db_param *params = leat_db_params(&t->db, s);
    for (size_t i = 0; i < s->n_params; i++) {
        leat_slice value = {t->db.texts.at + params[i].at, params[i].len};
        if (!params[i].is_null && leat_origin_is_client(t, value))
            return true;
    }
    return false;
}

static leat_code code_of(const leat_task *t, int err, const leat_pg_result *r, const char *sqlstate)
{
    switch (err) {
    case LEAT_EDEADLINE:
        return LEAT_CODE_DEADLINE_EXCEEDED;
    case LEAT_ETOOLARGE:
        return LEAT_CODE_TOO_LARGE;
    case LEAT_EBADMSG:
        return LEAT_CODE_INTERNAL;
    case LEAT_EPG_SERVER:
        break;
    default:
        return LEAT_CODE_UNAVAILABLE;
    }
    bool canceled = strcmp(sqlstate, "57014") == 0;
    if (canceled && leat_loop_now(t->lua->core->loop) >= t->db.deadline_ms)
        return LEAT_CODE_DEADLINE_EXCEEDED;
    bool outdated = r != NULL && leat_pg_result_is_outdated(r);
    if (outdated || leat_sqlstate_is_passing(sqlstate))
        return LEAT_CODE_UNAVAILABLE;
    return is_clients_fault(t, sqlstate) ? LEAT_CODE_BAD_REQUEST : LEAT_CODE_INTERNAL;
}

static const char *sentence_of(int err)
{
    switch (err) {
    case LEAT_EDEADLINE:
        return "the deadline passed";
    case LEAT_ETOOLARGE:
        return "the result is too large";
    case LEAT_EBADMSG:
        return "a parameter holds a zero byte";
    case LEAT_EBUSY:
        return "too many queries wait for a connection";
    case LEAT_EPG_LOST:
        return "the connection to the database is lost";
    default:
        return "the database is not available";
    }
}

/* Pushes the sentence; of several statements, it names the one that failed. [-0, +1, m] */
static void push_sentence(lua_State *L, const leat_db *db, const char *sentence)
{
    if (db->n_statements > 1 && db->failed != LEAT_DB_NONE)
        lua_pushfstring(L, "statement %d of the batch: %s", db->failed + 1, sentence);
    else
        lua_pushstring(L, sentence);
}

int leat_db_error_raise(lua_State *L, leat_task *t)
{
    int err = t->wait.err;
    const leat_db_statement *failed = failed_of(t);
    const leat_pg_result *r = failed == NULL ? NULL : failed->result;
    bool told = err == LEAT_EPG_SERVER && r != NULL;
    const char *sqlstate = told ? leat_pg_result_sqlstate(r) : err == LEAT_EBADMSG ? "22021" : "";
    leat_code code = code_of(t, err, r, sqlstate);
    uint32_t retry_ms = code == LEAT_CODE_UNAVAILABLE ? leat_admission_retry_ms(t->lua->core) : 0;
    push_sentence(L, &t->db, told ? leat_pg_result_message(r) : sentence_of(err));
    leat_refusal_push_read_error(L, code, sqlstate, leat_slice_of(lua_tostring(L, -1)), retry_ms);
    return lua_error(L);
}

int leat_db_error_raise_parameter(lua_State *L, leat_slice reason)
{
    leat_refusal_push_read_error(L, LEAT_CODE_BAD_REQUEST, "22021", reason, 0);
    return lua_error(L);
}

int leat_db_error_raise_aborted(lua_State *L)
{
    static const char sentence[] =
        "the transaction was rolled back, because a statement in it failed and the script went on";
    leat_refusal_push_read_error(L, LEAT_CODE_INTERNAL, "25P02", leat_slice_of(sentence), 0);
    return lua_error(L);
}
