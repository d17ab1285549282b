/* sub_table_test.c - every event in every state: what follows, written out a second time; what
 * cannot happen aborts and names both; and whatever happens, nothing that a state had under way
 * outlives the subscription.
 */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/leat_v1.h"

/* "EVENT>NEXT", or "EVENT" where the state is not left. What is not here cannot happen. */
static const char *const expected[SUB_STATE_COUNT] = {
    [SUB_NEW] = "SUBSCRIBE>AUTHORIZING GRANTED>ARMING",
    [SUB_AUTHORIZING] = "AUTHORIZED>ARMING REFUSED>CLOSED FAILED>CLOSED IDENTITY>AUTHORIZING "
                        "CLOSE>CLOSED ARMED MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_ARMING] = "ARMED>STARTING IDENTITY>AUTHORIZING DEADLINE>CLOSED CLOSE>CLOSED "
                   "MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_STARTING] = "RESUMABLE>REPLAYING UNCERTAIN>RESUMING SNAPSHOT_DUE>READING "
                     "IN_DOUBT>AUTHORIZING",
    [SUB_RESUMING] = "RESUMABLE>REPLAYING SNAPSHOT_DUE>READING IN_DOUBT>AUTHORIZING "
                     "IDENTITY>AUTHORIZING CLOSE>CLOSED MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_READING] = "SNAPSHOT>REPLAYING IN_DOUBT>AUTHORIZING OUTDATED>WAITING_NUMBERING "
                    "NO_ROOM>CLOSED REFUSED>CLOSED FAILED>CLOSED IDENTITY>AUTHORIZING "
                    "CLOSE>CLOSED MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_WAITING_NUMBERING] = "DEADLINE>READING IDENTITY>AUTHORIZING CLOSE>CLOSED "
                              "MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_REPLAYING] = "HEAD>LIVE GAP>REPLAYING_OUTBOX GONE>CONTINUING RESYNC>CONTINUING "
                      "IN_DOUBT>WAITING_HANDLER_SLOT IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED "
                      "MOVE RENUMBERED SIGNAL",
    [SUB_REPLAYING_OUTBOX] = "CAUGHT_UP>REPLAYING GONE>CONTINUING RESYNC>CONTINUING "
                             "IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED MOVE RENUMBERED SIGNAL",
    [SUB_LIVE] = "GAP>CATCHING_UP GONE>CONTINUING RESYNC>CONTINUING "
                 "IN_DOUBT>WAITING_HANDLER_SLOT IDENTITY>WAITING_HANDLER_SLOT "
                 "SNAPSHOT>REPLAYING FRESH_LATE>CONTINUING FRESH_DOUBTED>WAITING_HANDLER_SLOT "
                 "OLD_SCRIPTS>CONTINUING REFUSED>CLOSED CLOSE>CLOSED "
                 "MOVE HEAD KEPT_STALE RENUMBERED SIGNAL",
    [SUB_CATCHING_UP] = "CAUGHT_UP>LIVE GONE>CONTINUING RESYNC>CONTINUING "
                        "IDENTITY>WAITING_HANDLER_SLOT SNAPSHOT>REPLAYING FRESH_LATE>CONTINUING "
                        "FRESH_DOUBTED>WAITING_HANDLER_SLOT OLD_SCRIPTS>CONTINUING "
                        "REFUSED>CLOSED CLOSE>CLOSED MOVE KEPT_STALE RENUMBERED SIGNAL",
    [SUB_WAITING_HANDLER_SLOT] = "SLOT>REAUTHORIZING CLOSE>CLOSED "
                                 "MOVE RESYNC RENUMBERED IDENTITY SIGNAL",
    [SUB_REAUTHORIZING] = "AUTHORIZED>CONTINUING REFUSED>CLOSED FAILED>HELD "
                          "IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED MOVE RESYNC RENUMBERED "
                          "SIGNAL",
    [SUB_HELD] = "DEADLINE>WAITING_HANDLER_SLOT IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED "
                 "MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_CONTINUING] = "NOTHING_DUE>REPLAYING IN_DOUBT>WAITING_HANDLER_SLOT FULL>PARKED "
                       "SNAPSHOT_DUE>WAITING_READ_SLOT",
    [SUB_PARKED] = "MOVE>CONTINUING IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED "
                   "RESYNC RENUMBERED SIGNAL",
    [SUB_WAITING_READ_SLOT] = "SLOT>REREADING IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED "
                              "MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_REREADING] = "SNAPSHOT>REPLAYING IN_DOUBT>WAITING_HANDLER_SLOT "
                      "OUTDATED>WAITING_READ_RETRY NO_ROOM>CONTINUING KEPT_STALE>REPLAYING "
                      "REFUSED>CLOSED FAILED>WAITING_READ_RETRY IDENTITY>WAITING_HANDLER_SLOT "
                      "CLOSE>CLOSED MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_WAITING_READ_RETRY] = "DEADLINE>CONTINUING IDENTITY>WAITING_HANDLER_SLOT CLOSE>CLOSED "
                               "MOVE RESYNC RENUMBERED SIGNAL",
    [SUB_CLOSED] = "",
};

/* Writes what follows the event, as above; "" if it cannot happen. */
static void look_up(sub_state state, sub_event event, char *out, size_t size)
{
    const char *name = sub_event_name(event);
    size_t len = strlen(name);
    out[0] = '\0';
    if (expected[state] == NULL)
        fail_msg("no line for the state %s", sub_traits[state].name);
    for (const char *at = expected[state]; *at != '\0'; at += strcspn(at, " "), at += *at == ' ')
        if (strncmp(at, name, len) == 0 && strchr("> ", at[len]) != NULL)
            snprintf(out, size, "%.*s", (int)strcspn(at, " "), at);
}

static bool can_happen(sub_state state, sub_event event)
{
    char wanted[80];
    look_up(state, event, wanted, sizeof(wanted));
    return wanted[0] != '\0';
}

static void each_event_leads_where_it_should(void **unused)
{
    (void)unused;
    for (int state = 0; state < SUB_STATE_COUNT; state++) {
        for (int event = SUB_ON_NOTHING + 1; event < SUB_EVENT_COUNT; event++) {
            char wanted[80], found[80];
            look_up((sub_state)state, (sub_event)event, wanted, sizeof(wanted));
            if (wanted[0] == '\0')
                continue;
            const sub_rule *rule = sub_rule_for((sub_state)state, (sub_event)event);
            snprintf(found, sizeof(found), "%s%s%s", sub_event_name((sub_event)event),
                     rule->stays ? "" : ">", rule->stays ? "" : sub_traits[rule->next].name);
            assert_string_equal(wanted, found);
        }
    }
}

/* Runs in a process of its own, which is to abort; what it says comes back. */
static void expect_abort(sub_state state, sub_event event)
{
    int fds[2];
    char said[512] = "", wanted[120];
    assert_int_equal(0, pipe(fds));
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], STDERR_FILENO);
        sub_rule_for(state, event);
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)n;
    close(fds[0]);
    int status = 0;
    assert_int_equal(child, waitpid(child, &status, 0));
    snprintf(wanted, sizeof(wanted), "in state %s met %s\n", sub_traits[state].name,
             sub_event_name(event));
    if (!WIFSIGNALED(status) || strstr(said, wanted) == NULL)
        fail_msg("no abort: %s", wanted);
}

static void what_cannot_happen_aborts_and_names_both(void **unused)
{
    (void)unused;
    for (int state = 0; state < SUB_STATE_COUNT; state++)
        for (int event = SUB_ON_NOTHING + 1; event < SUB_EVENT_COUNT; event++)
            if (!can_happen((sub_state)state, (sub_event)event))
                expect_abort((sub_state)state, (sub_event)event);
}

static bool rests(sub_state state)
{
    return state != SUB_NEW && state != SUB_STARTING && state != SUB_CONTINUING &&
           state != SUB_CLOSED;
}

/* These do not depend on what the subscription is doing. The rule that is missing is named by the
 * abort. ARMED and DEADLINE come only where the state, or one before it, asks for them. */
static void what_can_always_happen_has_a_rule_in_every_state_that_rests(void **unused)
{
    (void)unused;
    static const sub_event always[] = {SUB_ON_MOVE,     SUB_ON_RESYNC, SUB_ON_RENUMBERED,
                                       SUB_ON_IDENTITY, SUB_ON_SIGNAL, SUB_ON_CLOSE};
    for (int state = 0; state < SUB_STATE_COUNT; state++)
        for (size_t i = 0; rests((sub_state)state) && i < sizeof(always) / sizeof(always[0]); i++)
            assert_non_null(sub_rule_for((sub_state)state, always[i]));
}

/* Lets the event happen to a subscription in that state, with what comes with it. */
static void happen(core_fixture *f, sub_event event)
{
    leat_grant *grant = leat_calloc(1, sizeof(*grant));
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), 11, leat_slice_of("1"));
    leat_sub *s = core_fixture_sub(f);
    leat_verdict yes = {.grant = grant};
    leat_snapshot snapshot = {
        .position = {s->cursor.topic == NULL ? NULL : s->cursor.topic->ring.epoch, 20,
                     LEAT_NEVER_REVOKED},
        .json = leat_slice_of("1"),
    };
    leat_caught caught = {.first_seq = s->cursor.next_seq, .events = &e, .n = 1};
    sub_news news = {
        .verdict = &yes,
        .failure = {.code = LEAT_CODE_FORBIDDEN},
        .snapshot = &snapshot,
        .caught = &caught,
        .signal = e,
        .reason = LEAT_RESET_REQUESTED,
        .tell = true,
    };
    sub_work_of(s); /* of what has brought the event, be it the replacement of a stale snapshot */
    if (event == SUB_ON_AUTHORIZED)
        f->n_grants++;
    else
        free(grant);
    sub_happens(s, event, &news);
    leat_event_unref(e);
}

static void walk(sub_state state, sub_event event)
{
    void *fixture;
    core_fixture_open(&fixture);
    core_fixture *f = fixture;
    core_fixture_reach(f, state);
    const sub_rule *rule = sub_rule_for(state, event);

    happen(f, event);

    if (rule->next == SUB_CLOSED)
        assert_null(core_fixture_sub(f));
    else if (rule->stays && rule->act == NULL)
        core_fixture_expect_state(f, state);
    else
        assert_true(rests((sub_state)core_fixture_sub(f)->state));
    core_fixture_close(&fixture); /* fails if anything is left */
}

static void whatever_happens_nothing_is_left(void **unused)
{
    (void)unused;
    for (int state = 0; state < SUB_STATE_COUNT; state++)
        for (int event = SUB_ON_NOTHING + 1; event < SUB_EVENT_COUNT; event++)
            if (rests((sub_state)state) && can_happen((sub_state)state, (sub_event)event))
                walk((sub_state)state, (sub_event)event);
}

/* The gauge is the contract's: six states, whatever there are inside. */
static void each_state_is_counted_as_one_of_six(void **unused)
{
    (void)unused;
    for (int state = 0; state < SUB_STATE_COUNT; state++) {
        void *fixture;
        if (!rests((sub_state)state))
            continue;
        core_fixture_open(&fixture);
        core_fixture *f = fixture;
        core_fixture_reach(f, (sub_state)state);
        for (int m = LEAT_M_SUBS_NEW; m <= LEAT_M_SUBS_LIVE; m++)
            assert_int_equal(m == (int)sub_traits[state].metric,
                             core_fixture_metric(f, (leat_metric)m));
        core_fixture_close(&fixture);
    }
}

static void a_slot_is_held_while_the_database_is_asked(void **unused)
{
    (void)unused;
    for (int state = 0; state < SUB_STATE_COUNT; state++) {
        void *fixture;
        if (!rests((sub_state)state))
            continue;
        core_fixture_open(&fixture);
        core_fixture *f = fixture;
        core_fixture_reach(f, (sub_state)state);
        bool asks = state == SUB_REAUTHORIZING || state == SUB_REREADING;
        assert_int_equal(asks, f->core.slots.n_taken);
        core_fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_leads_where_it_should),
        cmocka_unit_test(what_can_always_happen_has_a_rule_in_every_state_that_rests),
        cmocka_unit_test(what_cannot_happen_aborts_and_names_both),
        cmocka_unit_test(whatever_happens_nothing_is_left),
        cmocka_unit_test(each_state_is_counted_as_one_of_six),
        cmocka_unit_test(a_slot_is_held_while_the_database_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
