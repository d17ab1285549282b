/* sub_table.c - what a subscription does in which state, upon which event: this table decides, the
 * other files of sub_*.c carry out.
 *
 *   RULE(STATE, EVENT, NEXT, act)   leaves STATE and ends what it has under way, then calls act,
 *                                   then enters NEXT. If NEXT is STATE, it begins anew.
 *   STAY(STATE, EVENT, act)         calls act; what the state has under way goes on. If act is
 *                                   NULL, the event changes nothing in this state.
 *
 * An event without a rule cannot happen in that state: sub_rule_for aborts. One rule a line:
 * scripts/draw_states.lua reads them. */
#include "core/sub_table.h"

#include <stdio.h>

#include "base/err.h"
#include "core/sub_private.h"

#define RULE(state, event, next, act) [SUB_##state][SUB_ON_##event] = {SUB_##next, act, false}
#define STAY(state, event, act) [SUB_##state][SUB_ON_##event] = {SUB_##state, act, true}

/* clang-format off */
static const sub_rule rules[SUB_STATE_COUNT][SUB_EVENT_COUNT] = {
    /* The subscribe is not yet answered. */
    RULE(NEW, SUBSCRIBE, AUTHORIZING, NULL),
    RULE(NEW, GRANTED, ARMING, NULL),

    RULE(AUTHORIZING, AUTHORIZED, ARMING, sub_take_grant),
    RULE(AUTHORIZING, REFUSED, CLOSED, sub_answer_failure),
    RULE(AUTHORIZING, FAILED, CLOSED, sub_answer_failure),
    STAY(AUTHORIZING, ARMED, NULL),
    STAY(AUTHORIZING, MOVE, NULL),
    STAY(AUTHORIZING, RESYNC, NULL),
    STAY(AUTHORIZING, RENUMBERED, sub_begin_numbering),
    RULE(AUTHORIZING, IDENTITY, AUTHORIZING, NULL),
    STAY(AUTHORIZING, SIGNAL, sub_drop_signal),
    RULE(AUTHORIZING, CLOSE, CLOSED, sub_answer_closed),

    RULE(ARMING, ARMED, STARTING, NULL),
    STAY(ARMING, MOVE, NULL),
    STAY(ARMING, RESYNC, NULL),
    STAY(ARMING, RENUMBERED, sub_begin_numbering),
    RULE(ARMING, IDENTITY, AUTHORIZING, NULL),
    STAY(ARMING, SIGNAL, sub_drop_signal),
    RULE(ARMING, DEADLINE, CLOSED, sub_answer_not_armed),
    RULE(ARMING, CLOSE, CLOSED, sub_answer_closed),

    RULE(STARTING, RESUMABLE, REPLAYING, sub_answer_resumed),
    RULE(STARTING, UNCERTAIN, RESUMING, NULL),
    RULE(STARTING, SNAPSHOT_DUE, READING, NULL),
    RULE(STARTING, IN_DOUBT, AUTHORIZING, NULL),

    RULE(RESUMING, RESUMABLE, REPLAYING, sub_answer_resumed),
    RULE(RESUMING, SNAPSHOT_DUE, READING, NULL),
    RULE(RESUMING, IN_DOUBT, AUTHORIZING, NULL),
    STAY(RESUMING, MOVE, NULL),
    STAY(RESUMING, RESYNC, NULL),
    STAY(RESUMING, RENUMBERED, sub_begin_numbering),
    RULE(RESUMING, IDENTITY, AUTHORIZING, NULL),
    STAY(RESUMING, SIGNAL, sub_drop_signal),
    RULE(RESUMING, CLOSE, CLOSED, sub_answer_closed),

    RULE(READING, SNAPSHOT, REPLAYING, sub_answer_snapshot),
    RULE(READING, IN_DOUBT, AUTHORIZING, NULL),
    RULE(READING, OUTDATED, WAITING_NUMBERING, NULL),
    RULE(READING, NO_ROOM, CLOSED, sub_answer_no_room),
    RULE(READING, REFUSED, CLOSED, sub_answer_failure),
    RULE(READING, FAILED, CLOSED, sub_answer_failure),
    STAY(READING, MOVE, NULL),
    STAY(READING, RESYNC, NULL),
    STAY(READING, RENUMBERED, sub_begin_numbering_of_read),
    RULE(READING, IDENTITY, AUTHORIZING, NULL),
    STAY(READING, SIGNAL, sub_drop_signal),
    RULE(READING, CLOSE, CLOSED, sub_answer_closed),

    STAY(WAITING_NUMBERING, MOVE, NULL),
    STAY(WAITING_NUMBERING, RESYNC, NULL),
    STAY(WAITING_NUMBERING, RENUMBERED, sub_begin_numbering),
    RULE(WAITING_NUMBERING, IDENTITY, AUTHORIZING, NULL),
    STAY(WAITING_NUMBERING, SIGNAL, sub_drop_signal),
    RULE(WAITING_NUMBERING, DEADLINE, READING, NULL),
    RULE(WAITING_NUMBERING, CLOSE, CLOSED, sub_answer_closed),

    /* The subscribe is answered, and the cursor moves. */
    STAY(REPLAYING, MOVE, sub_move_cursor),
    RULE(REPLAYING, HEAD, LIVE, NULL),
    RULE(REPLAYING, GAP, REPLAYING_OUTBOX, NULL),
    RULE(REPLAYING, GONE, CONTINUING, sub_owe_lost),
    RULE(REPLAYING, IN_DOUBT, WAITING_HANDLER_SLOT, NULL),
    RULE(REPLAYING, RESYNC, CONTINUING, sub_owe_snapshot),
    STAY(REPLAYING, RENUMBERED, sub_begin_numbering),
    RULE(REPLAYING, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(REPLAYING, SIGNAL, sub_drop_signal),
    RULE(REPLAYING, CLOSE, CLOSED, NULL),

    RULE(REPLAYING_OUTBOX, CAUGHT_UP, REPLAYING, sub_take_caught),
    RULE(REPLAYING_OUTBOX, GONE, CONTINUING, sub_owe_lost),
    STAY(REPLAYING_OUTBOX, MOVE, NULL),
    RULE(REPLAYING_OUTBOX, RESYNC, CONTINUING, sub_owe_snapshot),
    STAY(REPLAYING_OUTBOX, RENUMBERED, sub_begin_numbering),
    RULE(REPLAYING_OUTBOX, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(REPLAYING_OUTBOX, SIGNAL, sub_drop_signal),
    RULE(REPLAYING_OUTBOX, CLOSE, CLOSED, NULL),

    STAY(LIVE, MOVE, sub_move_cursor),
    STAY(LIVE, HEAD, sub_settle),
    RULE(LIVE, GAP, CATCHING_UP, NULL),
    RULE(LIVE, GONE, CONTINUING, sub_owe_lost),
    RULE(LIVE, IN_DOUBT, WAITING_HANDLER_SLOT, NULL),
    RULE(LIVE, RESYNC, CONTINUING, sub_owe_snapshot),
    STAY(LIVE, RENUMBERED, sub_begin_numbering),
    RULE(LIVE, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    RULE(LIVE, SNAPSHOT, REPLAYING, sub_give_snapshot),
    STAY(LIVE, KEPT_STALE, sub_move_cursor),
    RULE(LIVE, FRESH_LATE, CONTINUING, sub_owe_fresh),
    RULE(LIVE, FRESH_DOUBTED, WAITING_HANDLER_SLOT, sub_owe_fresh),
    RULE(LIVE, OLD_SCRIPTS, CONTINUING, sub_owe_renewed),
    RULE(LIVE, REFUSED, CLOSED, sub_tell_failure),
    STAY(LIVE, SIGNAL, sub_give_signal),
    RULE(LIVE, CLOSE, CLOSED, NULL),

    RULE(CATCHING_UP, CAUGHT_UP, LIVE, sub_take_caught),
    RULE(CATCHING_UP, GONE, CONTINUING, sub_owe_lost),
    STAY(CATCHING_UP, MOVE, NULL),
    RULE(CATCHING_UP, RESYNC, CONTINUING, sub_owe_snapshot),
    STAY(CATCHING_UP, RENUMBERED, sub_begin_numbering),
    RULE(CATCHING_UP, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    RULE(CATCHING_UP, SNAPSHOT, REPLAYING, sub_give_snapshot),
    STAY(CATCHING_UP, KEPT_STALE, NULL),
    RULE(CATCHING_UP, FRESH_LATE, CONTINUING, sub_owe_fresh),
    RULE(CATCHING_UP, FRESH_DOUBTED, WAITING_HANDLER_SLOT, sub_owe_fresh),
    RULE(CATCHING_UP, OLD_SCRIPTS, CONTINUING, sub_owe_renewed),
    RULE(CATCHING_UP, REFUSED, CLOSED, sub_tell_failure),
    STAY(CATCHING_UP, SIGNAL, sub_drop_signal),
    RULE(CATCHING_UP, CLOSE, CLOSED, NULL),

    /* The handler decides about the right once more; the cursor stands still. */
    RULE(WAITING_HANDLER_SLOT, SLOT, REAUTHORIZING, NULL),
    STAY(WAITING_HANDLER_SLOT, MOVE, NULL),
    STAY(WAITING_HANDLER_SLOT, RESYNC, sub_owe_too),
    STAY(WAITING_HANDLER_SLOT, RENUMBERED, sub_begin_numbering),
    STAY(WAITING_HANDLER_SLOT, IDENTITY, NULL),
    STAY(WAITING_HANDLER_SLOT, SIGNAL, sub_drop_signal),
    RULE(WAITING_HANDLER_SLOT, CLOSE, CLOSED, NULL),

    RULE(REAUTHORIZING, AUTHORIZED, CONTINUING, sub_take_grant),
    RULE(REAUTHORIZING, REFUSED, CLOSED, sub_tell_revoked),
    RULE(REAUTHORIZING, FAILED, HELD, NULL),
    STAY(REAUTHORIZING, MOVE, NULL),
    STAY(REAUTHORIZING, RESYNC, sub_owe_too),
    STAY(REAUTHORIZING, RENUMBERED, sub_begin_numbering),
    RULE(REAUTHORIZING, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(REAUTHORIZING, SIGNAL, sub_drop_signal),
    RULE(REAUTHORIZING, CLOSE, CLOSED, NULL),

    STAY(HELD, MOVE, NULL),
    STAY(HELD, RESYNC, sub_owe_too),
    STAY(HELD, RENUMBERED, sub_begin_numbering),
    RULE(HELD, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(HELD, SIGNAL, sub_drop_signal),
    RULE(HELD, DEADLINE, WAITING_HANDLER_SLOT, NULL),
    RULE(HELD, CLOSE, CLOSED, NULL),

    RULE(CONTINUING, NOTHING_DUE, REPLAYING, NULL),
    RULE(CONTINUING, IN_DOUBT, WAITING_HANDLER_SLOT, NULL),
    RULE(CONTINUING, FULL, PARKED, NULL),
    RULE(CONTINUING, SNAPSHOT_DUE, WAITING_READ_SLOT, NULL),

    /* A fresh snapshot replaces what the client has; the cursor stands still. */
    RULE(PARKED, MOVE, CONTINUING, NULL),
    STAY(PARKED, RESYNC, sub_owe_too),
    STAY(PARKED, RENUMBERED, sub_begin_numbering),
    RULE(PARKED, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(PARKED, SIGNAL, sub_drop_signal),
    RULE(PARKED, CLOSE, CLOSED, NULL),

    RULE(WAITING_READ_SLOT, SLOT, REREADING, NULL),
    STAY(WAITING_READ_SLOT, MOVE, NULL),
    STAY(WAITING_READ_SLOT, RESYNC, sub_owe_too),
    STAY(WAITING_READ_SLOT, RENUMBERED, sub_begin_numbering),
    RULE(WAITING_READ_SLOT, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(WAITING_READ_SLOT, SIGNAL, sub_drop_signal),
    RULE(WAITING_READ_SLOT, CLOSE, CLOSED, NULL),

    RULE(REREADING, SNAPSHOT, REPLAYING, sub_give_snapshot),
    RULE(REREADING, IN_DOUBT, WAITING_HANDLER_SLOT, NULL),
    RULE(REREADING, OUTDATED, WAITING_READ_RETRY, NULL),
    RULE(REREADING, NO_ROOM, CONTINUING, NULL),
    RULE(REREADING, KEPT_STALE, REPLAYING, sub_owe_nothing),
    RULE(REREADING, REFUSED, CLOSED, sub_tell_failure),
    RULE(REREADING, FAILED, WAITING_READ_RETRY, NULL),
    STAY(REREADING, MOVE, NULL),
    STAY(REREADING, RESYNC, sub_owe_too),
    STAY(REREADING, RENUMBERED, sub_begin_numbering_of_read),
    RULE(REREADING, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(REREADING, SIGNAL, sub_drop_signal),
    RULE(REREADING, CLOSE, CLOSED, NULL),

    STAY(WAITING_READ_RETRY, MOVE, NULL),
    STAY(WAITING_READ_RETRY, RESYNC, sub_owe_too),
    STAY(WAITING_READ_RETRY, RENUMBERED, sub_begin_numbering),
    RULE(WAITING_READ_RETRY, IDENTITY, WAITING_HANDLER_SLOT, NULL),
    STAY(WAITING_READ_RETRY, SIGNAL, sub_drop_signal),
    RULE(WAITING_READ_RETRY, DEADLINE, CONTINUING, NULL),
    RULE(WAITING_READ_RETRY, CLOSE, CLOSED, NULL),
};

/* What a state starts when it is entered, what it ends when it is left, and its deadline. */
const sub_trait sub_traits[SUB_STATE_COUNT] = {
    [SUB_NEW] = {"NEW", LEAT_M_SUBS_NEW, .asked = true},
    [SUB_AUTHORIZING] = {"AUTHORIZING", LEAT_M_SUBS_AUTHORIZING,
        .enter = sub_run_handler, .leave = sub_stop_handler, .stage = SUB_STAGE_AUTHORISE, .asked = true},
    [SUB_ARMING] = {"ARMING", LEAT_M_SUBS_ARMING,
        .enter = sub_arm, .deadline = sub_asked_deadline, .stage = SUB_STAGE_ARM, .asked = true},
    [SUB_STARTING] = {"STARTING", LEAT_M_SUBS_READING,
        .enter = sub_choose_start, .stage = SUB_STAGE_READ, .asked = true},
    [SUB_RESUMING] = {"RESUMING", LEAT_M_SUBS_READING,
        .enter = sub_ask_outbox, .leave = sub_stop_asking, .stage = SUB_STAGE_READ, .asked = true},
    [SUB_READING] = {"READING", LEAT_M_SUBS_READING,
        .enter = sub_read_first, .leave = sub_stop_reading, .stage = SUB_STAGE_READ, .asked = true},
    [SUB_WAITING_NUMBERING] = {"WAITING_NUMBERING", LEAT_M_SUBS_READING,
        .deadline = sub_numbering_deadline, .stage = SUB_STAGE_READ, .asked = true},
    [SUB_REPLAYING] = {"REPLAYING", LEAT_M_SUBS_REPLAYING,
        .enter = sub_move_cursor},
    [SUB_REPLAYING_OUTBOX] = {"REPLAYING_OUTBOX", LEAT_M_SUBS_REPLAYING,
        .enter = sub_catch_up, .leave = sub_stop_catching_up},
    [SUB_LIVE] = {"LIVE", LEAT_M_SUBS_LIVE,
        .enter = sub_move_cursor, .renews = true},
    [SUB_CATCHING_UP] = {"CATCHING_UP", LEAT_M_SUBS_LIVE,
        .enter = sub_catch_up, .leave = sub_stop_catching_up, .renews = true},
    [SUB_WAITING_HANDLER_SLOT] = {"WAITING_HANDLER_SLOT", LEAT_M_SUBS_AUTHORIZING,
        .enter = sub_wait_for_slot, .slot = true},
    [SUB_REAUTHORIZING] = {"REAUTHORIZING", LEAT_M_SUBS_AUTHORIZING,
        .enter = sub_run_handler, .leave = sub_stop_handler, .slot = true},
    [SUB_HELD] = {"HELD", LEAT_M_SUBS_AUTHORIZING,
        .enter = sub_count_attempt, .deadline = sub_retry_deadline},
    [SUB_CONTINUING] = {"CONTINUING", LEAT_M_SUBS_READING,
        .enter = sub_choose_next, .slot = true},
    [SUB_PARKED] = {"PARKED", LEAT_M_SUBS_READING},
    [SUB_WAITING_READ_SLOT] = {"WAITING_READ_SLOT", LEAT_M_SUBS_READING,
        .enter = sub_wait_for_slot, .slot = true},
    [SUB_REREADING] = {"REREADING", LEAT_M_SUBS_READING,
        .enter = sub_read_again, .leave = sub_stop_reading, .slot = true},
    [SUB_WAITING_READ_RETRY] = {"WAITING_READ_RETRY", LEAT_M_SUBS_READING,
        .enter = sub_count_attempt, .deadline = sub_retry_deadline},
    [SUB_CLOSED] = {"CLOSED", LEAT_M_SUBS_NEW, .enter = sub_bury},
};
/* clang-format on */

#define EVENT_NAME(name) [SUB_ON_##name] = #name,
static const char *const event_names[SUB_EVENT_COUNT] = {[SUB_ON_NOTHING] = "NOTHING",
                                                         SUB_EVENTS(EVENT_NAME)};
#undef EVENT_NAME

const char *sub_event_name(sub_event event)
{
    return event_names[event];
}

static bool is_rule(const sub_rule *rule)
{
    return rule->next != SUB_NEW; /* nothing leads back to there */
}

const sub_rule *sub_rule_for(sub_state state, sub_event event)
{
    const sub_rule *rule = &rules[state][event];
    if (!is_rule(rule)) {
        fprintf(stderr, "subscription in state %s met %s\n", sub_traits[state].name,
                event_names[event]);
        LEAT_ASSERT(is_rule(rule));
    }
    return rule;
}
