/* hub_anchor.c - which entries of the log are kept, and how they are told.
 *
 * The newest announced entry stands for all entries before it: announcements come in the order of
 * the commits, and a restored database has all that was there at some moment. A few entries are
 * kept besides it, which became known without an announcement: rows of a fetch, and positions that
 * workers have read (the time of those is not known).
 */
#include "hub/hub_anchor.h"

#include <string.h>

#include "wire/json.h"

enum { TIMELINE_PART = 9 }; /* of an epoch as clients see it: "TTTTTTTT-" */

static hub_anchor make(leat_slice topic, leat_slice epoch, int64_t seq, int64_t at)
{
    hub_anchor a = {.topic_len = topic.len, .epoch_len = epoch.len, .seq = seq, .at = at};
    if (topic.len == 0 || topic.len > sizeof(a.topic) || epoch.len > sizeof(a.epoch))
        return (hub_anchor){0};
    memcpy(a.topic, topic.at, topic.len);
    memcpy(a.epoch, epoch.at, epoch.len);
    return a;
}

static leat_slice topic_of(const hub_anchor *a)
{
    return (leat_slice){a->topic, a->topic_len};
}

static leat_slice epoch_of(const hub_anchor *a)
{
    return (leat_slice){a->epoch, a->epoch_len};
}

/* Keeps an entry beside the newest one. Of one numbering of a topic only the latest is kept. */
static void add(hub_anchors *all, const hub_anchor *a)
{
    if (a->topic_len == 0)
        return;
    for (size_t i = 0; i < HUB_ANCHORS; i++) {
        hub_anchor *known = &all->others[i];
        if (!leat_slice_equal(topic_of(known), topic_of(a)) ||
            !leat_slice_equal(epoch_of(known), epoch_of(a)))
            continue;
        if (a->seq > known->seq || (a->seq == known->seq && known->at == 0))
            *known = *a;
        return;
    }
    all->others[all->next] = *a;
    all->next = (all->next + 1) % HUB_ANCHORS;
}

/* Never replaces an entry by an older one: a session can repeat an announcement of its own. */
static void keep_newest(hub_anchors *all, const hub_anchor *a)
{
    if (a->at >= all->newest.at)
        all->newest = *a;
    else
        add(all, a);
}

void hub_anchor_announced(hub_anchors *all, const leat_announcement *heard)
{
    if (heard->seq == 0)
        return;
    hub_anchor a = make(heard->topic, heard->epoch, heard->seq, heard->at);
    if (a.topic_len > 0)
        keep_newest(all, &a);
}

void hub_anchor_read(hub_anchors *all, leat_slice topic, const leat_named_position *at,
                     int64_t entered_at)
{
    leat_slice full = at->epoch;
    if (at->seq == 0 || full.len <= TIMELINE_PART)
        return;
    leat_slice own = {full.at + TIMELINE_PART, full.len - TIMELINE_PART};
    hub_anchor a = make(topic, own, at->seq, entered_at);
    add(all, &a);
}

void hub_anchor_clear(hub_anchors *all)
{
    *all = (hub_anchors){0};
}

static void write_one(const hub_anchor *a, leat_buf *json)
{
    if (a->topic_len == 0)
        return;
    leat_buf_text(json, json->len == 1 ? "{\"topic\":" : ",{\"topic\":");
    int err = leat_json_write_string(json, topic_of(a));
    leat_buf_text(json, ",\"epoch\":");
    err += leat_json_write_string(json, epoch_of(a));
    LEAT_ASSERT(err == 0); /* both were checked where they came in */
    leat_buf_text(json, ",\"seq\":");
    leat_buf_int(json, a->seq);
    leat_buf_text(json, ",\"at\":");
    if (a->at == 0)
        leat_buf_text(json, "null");
    else
        leat_buf_int(json, a->at);
    leat_buf_char(json, '}');
}

void hub_anchor_write(const hub_anchors *all, leat_buf *json)
{
    leat_buf_char(json, '[');
    write_one(&all->newest, json);
    for (size_t i = 0; i < HUB_ANCHORS; i++)
        write_one(&all->others[i], json);
    leat_buf_char(json, ']');
}
