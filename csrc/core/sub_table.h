/* sub_table.h - the states of a subscription, the events that it meets, and what follows.
 *
 * Ownership  nothing is owned; tables are static.
 * Threads    loop thread only.
 * Units      none.
 * Errors     an event that cannot happen in a state is a bug: it aborts and names both.
 *
 * sub_table.c decides; sub.c carries out (sub_happens). The picture in docs/architecture.md is made
 * from sub_table.c by scripts/draw_states.lua. */
#ifndef LEAT_CORE_SUB_TABLE_H
#define LEAT_CORE_SUB_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "core/sub_states.h"

typedef struct sub_rule {
    sub_state next;
    sub_act act; /* NULL: nothing is to be done on the way */
    bool stays;  /* the state is not left: what it has under way goes on */
} sub_rule;

typedef struct sub_trait {
    const char *name;
    leat_metric metric;                      /* of leat_subscriptions{state} */
    sub_act enter;                           /* starts what the state needs; NULL: nothing */
    void (*leave)(leat_sub *s);              /* ends it; harmless if it has ended; NULL: nothing */
    uint64_t (*deadline)(const leat_sub *s); /* armed once it is entered; NULL: none */
    bool asked;                              /* the subscribe is not yet answered */
    sub_stage stage; /* what its time counts for, until the subscribe is answered */
    bool slot;       /* takes a database slot, or keeps the one that is taken */
    bool renews;     /* a stale snapshot may be replaced in it (sub_renewal.c) */
} sub_trait;

extern const sub_trait sub_traits[SUB_STATE_COUNT];

/* The rule of a state for an event. Aborts, naming both, if there is none. */
const sub_rule *sub_rule_for(sub_state state, sub_event event);
const char *sub_event_name(sub_event event);

#endif
