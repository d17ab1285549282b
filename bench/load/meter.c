/* meter.c - an event's number and time stand in its data, wherever the server puts that. */
#include "load/meter.h"

#include <string.h>

#include "common/tool.h"

enum {
    LOOK_BYTES = 400, /* the data begins before that */
};

void meter_expect(meter *m, int n_events, const uint32_t *subscribers_of_event)
{
    m->n_events = n_events;
    m->missing = tool_calloc((size_t)n_events, sizeof(*m->missing));
    m->wanted = tool_calloc((size_t)n_events, sizeof(*m->wanted));
    for (int i = 0; i < n_events; i++) {
        m->missing[i] = m->wanted[i] = subscribers_of_event[i];
        m->expected += subscribers_of_event[i];
    }
}

static const char *number_after(const char *text, const char *end, const char *key, uint64_t *out)
{
    const char *at = memmem(text, (size_t)(end - text), key, strlen(key));
    if (at == NULL)
        return NULL;
    at += strlen(key);
    if (at < end && *at == ' ') /* as jsonb prints it */
        at++;
    for (*out = 0; at < end && *at >= '0' && *at <= '9'; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    return at;
}

static const char *look_end(const char *text, size_t length)
{
    return text + (length < LOOK_BYTES ? length : LOOK_BYTES);
}

uint64_t meter_sent_at(const char *text, size_t length)
{
    uint64_t sent_at = 0;
    number_after(text, look_end(text, length), "\"t\":", &sent_at);
    return sent_at;
}

static void count_event(meter *m, uint64_t number, uint64_t took_ns)
{
    if (m->missing[number] == 0)
        tool_fail("event %lu came more often than it has subscribers", (unsigned long)number);
    if (m->missing[number] == m->wanted[number])
        histogram_add(&m->first, took_ns);
    if (--m->missing[number] == 0) {
        histogram_add(&m->last, took_ns);
        atomic_fetch_add_explicit(&m->completed, 1, memory_order_relaxed);
    }
}

void meter_event(meter *m, const char *text, size_t length, uint64_t now_ns)
{
    uint64_t number = 0, sent_at = 0;
    const char *end = look_end(text, length);
    const char *at = number_after(text, end, "\"n\":", &number);
    if (at == NULL || number_after(at, end, "\"t\":", &sent_at) == NULL)
        tool_fail("an event without number and time: %.*s", (int)(end - text), text);
    if (number >= (uint64_t)m->n_events)
        return; /* of those that were published before the measurement */
    uint64_t took_ns = now_ns > sent_at ? now_ns - sent_at : 0;
    histogram_add(&m->each, took_ns);
    count_event(m, number, took_ns);
    m->delivered++;
    m->bytes += length;
    m->last_at = now_ns;
}
