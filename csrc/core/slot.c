/* slot.c - take -> (at once | a queue -> give_next -> cb) -> release. */
#include "core/slot.h"

#include "base/err.h"

void leat_slots_init(leat_slots *slots, size_t most, leat_metrics *metrics)
{
    leat_list_init(&slots->first_attempts);
    leat_list_init(&slots->repetitions);
    slots->n_taken = slots->n_repetitions = 0;
    slots->most = most;
    slots->metrics = metrics;
}

void leat_slot_init(leat_slot *slot)
{
    leat_list_init(&slot->link);
    slot->state = LEAT_SLOT_NONE;
}

static bool is_free(const leat_slots *slots, bool repetition)
{
    return slots->n_taken < slots->most && (!repetition || slots->n_repetitions < slots->most / 2);
}

static void give(leat_slots *slots, leat_slot *slot)
{
    slot->state = LEAT_SLOT_TAKEN;
    slots->n_taken++;
    slots->n_repetitions += slot->repetition;
}

static void leave_queue(leat_slots *slots, leat_slot *slot)
{
    leat_list_unlink(&slot->link);
    slot->state = LEAT_SLOT_NONE;
    leat_metrics_add(slots->metrics, LEAT_M_SLOT_WAITERS, -1);
}

bool leat_slot_take(leat_slots *slots, leat_slot *slot, bool repetition, leat_slot_cb cb)
{
    slot->cb = cb;
    if (slot->state != LEAT_SLOT_NONE)
        return slot->state == LEAT_SLOT_TAKEN;
    slot->repetition = repetition;
    if (is_free(slots, repetition)) {
        give(slots, slot);
        return true;
    }
    slot->state = LEAT_SLOT_WAITING;
    leat_list_push(repetition ? &slots->repetitions : &slots->first_attempts, &slot->link);
    leat_metrics_add(slots->metrics, LEAT_M_SLOT_WAITERS, 1);
    return false;
}

/* First attempts come first, but one repetition runs at any time if there is one. */
static void give_next(leat_slots *slots)
{
    bool repetition = slots->n_repetitions == 0 || leat_list_empty(&slots->first_attempts);
    repetition = repetition && !leat_list_empty(&slots->repetitions) && is_free(slots, true);
    leat_list *queue = repetition ? &slots->repetitions : &slots->first_attempts;
    if (leat_list_empty(queue))
        return;
    leat_slot *slot = LEAT_CONTAINER_OF(queue->next, leat_slot, link);
    leave_queue(slots, slot);
    give(slots, slot);
    slot->cb(slot);
}

void leat_slot_release(leat_slots *slots, leat_slot *slot)
{
    switch (slot->state) {
    case LEAT_SLOT_NONE:
        return;
    case LEAT_SLOT_WAITING:
        leave_queue(slots, slot);
        return;
    case LEAT_SLOT_TAKEN:
        slot->state = LEAT_SLOT_NONE;
        slots->n_taken--;
        slots->n_repetitions -= slot->repetition;
        give_next(slots);
        return;
    }
}
