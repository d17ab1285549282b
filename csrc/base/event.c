/* event.c - one allocation holds the counts, the topic and the frame. */
#include "base/event.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

static const uint32_t no_key = UINT32_MAX;

struct leat_event {
    atomic_uint refs;
    _Atomic(leat_event *) forms[LEAT_EVENT_FORMS];
    leat_event_kind kind;
    int64_t seq;
    int64_t at_us;
    uint32_t topic_len; /* bytes holds the topic, then the frame */
    uint32_t frame_len;
    uint32_t payload_at; /* offset in the frame; data_at, too */
    uint32_t data_at;
    uint32_t data_len;
    uint32_t key_len; /* the key lies behind the frame; no_key: there is none */
    char bytes[];
};

/* hidden_len: what lies behind the frame, and is not sent. */
static leat_event *make(leat_slice topic, size_t frame_len, size_t hidden_len)
{
    LEAT_ASSERT(topic.len <= UINT32_MAX && frame_len <= UINT32_MAX);
    leat_event *e = leat_calloc(1, sizeof(*e) + topic.len + frame_len + hidden_len);
    atomic_init(&e->refs, 1);
    for (int i = 0; i < LEAT_EVENT_FORMS; i++)
        atomic_init(&e->forms[i], NULL);
    e->topic_len = (uint32_t)topic.len;
    e->frame_len = (uint32_t)frame_len;
    e->key_len = no_key;
    if (topic.len > 0)
        memcpy(e->bytes, topic.at, topic.len);
    return e;
}

static void set_layout(leat_event *e, size_t payload_at, size_t data_at, size_t data_len)
{
    LEAT_ASSERT(payload_at <= e->frame_len && data_at <= e->frame_len);
    e->payload_at = (uint32_t)payload_at;
    e->data_at = (uint32_t)data_at;
    e->data_len = (uint32_t)data_len;
}

leat_event *leat_event_new(leat_event_kind kind, leat_slice topic, int64_t seq, size_t frame_len,
                           size_t payload_at, size_t data_at, size_t data_len)
{
    size_t hidden_len = data_at == frame_len ? data_len : 0;
    LEAT_ASSERT(data_len <= frame_len + hidden_len - data_at);
    leat_event *e = make(topic, frame_len, hidden_len);
    set_layout(e, payload_at, data_at, data_len);
    e->kind = kind;
    e->seq = seq;
    return e;
}

leat_event *leat_event_new_conflating(leat_slice topic, leat_slice key, size_t frame_len,
                                      size_t payload_at, size_t data_at, size_t data_len)
{
    LEAT_ASSERT(data_at < frame_len && data_len <= frame_len - data_at && key.len < no_key);
    leat_event *e = make(topic, frame_len, key.len);
    set_layout(e, payload_at, data_at, data_len);
    e->kind = LEAT_EVENT_SIGNAL;
    e->key_len = (uint32_t)key.len;
    if (key.len > 0)
        memcpy(e->bytes + topic.len + frame_len, key.at, key.len);
    return e;
}

char *leat_event_frame_room(leat_event *e)
{
    return e->bytes + e->topic_len;
}

void leat_event_set_at(leat_event *e, int64_t at_us)
{
    e->at_us = at_us;
}

leat_event *leat_event_ref(leat_event *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void leat_event_unref(leat_event *e)
{
    /* Release: this thread has read the event for the last time. Acquire: the thread that frees it
     * sees that all others have. */
    unsigned before = atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel);
    LEAT_ASSERT(before > 0);
    if (before > 1)
        return;
    for (int i = 0; i < LEAT_EVENT_FORMS; i++) {
        leat_event *form = leat_event_in_form(e, (leat_event_form)i);
        if (form != NULL && form != e)
            leat_event_unref(form);
    }
    free(e);
}

leat_event *leat_event_in_form(const leat_event *e, leat_event_form form)
{
    return atomic_load_explicit(&e->forms[form], memory_order_acquire);
}

leat_event *leat_event_set_form(leat_event *e, leat_event_form form, leat_event *made)
{
    leat_event *set = NULL;
    if (atomic_compare_exchange_strong(&e->forms[form], &set, made))
        return made;
    if (made != e)
        leat_event_unref(made);
    return set;
}

leat_event_kind leat_event_kind_of(const leat_event *e)
{
    return e->kind;
}

leat_slice leat_event_topic(const leat_event *e)
{
    return (leat_slice){e->bytes, e->topic_len};
}

leat_slice leat_event_key(const leat_event *e)
{
    if (e->key_len == no_key)
        return (leat_slice){NULL, 0};
    return (leat_slice){e->bytes + e->topic_len + e->frame_len, e->key_len};
}

int64_t leat_event_seq(const leat_event *e)
{
    return e->seq;
}

int64_t leat_event_at(const leat_event *e)
{
    return e->at_us;
}

leat_slice leat_event_frame(const leat_event *e)
{
    return (leat_slice){e->bytes + e->topic_len, e->frame_len};
}

leat_slice leat_event_payload(const leat_event *e)
{
    return (leat_slice){e->bytes + e->topic_len + e->payload_at, e->frame_len - e->payload_at};
}

leat_slice leat_event_data(const leat_event *e)
{
    return (leat_slice){e->bytes + e->topic_len + e->data_at, e->data_len};
}

size_t leat_event_bytes(const leat_event *e)
{
    size_t hidden_len = e->data_at == e->frame_len ? e->data_len : 0;
    size_t key_len = e->key_len == no_key ? 0 : e->key_len;
    return sizeof(*e) + e->topic_len + e->frame_len + hidden_len + key_len;
}

size_t leat_event_form_bytes(const leat_event *e)
{
    size_t bytes = 0;
    for (int i = 0; i < LEAT_EVENT_FORMS; i++) {
        const leat_event *form = leat_event_in_form(e, (leat_event_form)i);
        if (form != NULL && form != e)
            bytes += leat_event_bytes(form) + leat_event_form_bytes(form);
    }
    return bytes;
}
