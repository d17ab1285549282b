/* run.c - leat_runs_from looks among the runs that were made, then makes one: measure, join. */
#include "core/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct leat_runs {
    leat_ring *ring;
    size_t n;
    leat_run runs[LEAT_RUNS];
};

leat_runs *leat_runs_new(leat_ring *ring)
{
    leat_runs *r = leat_calloc(1, sizeof(*r));
    r->ring = ring;
    return r;
}

void leat_runs_free(leat_runs *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n; i++)
        leat_event_unref(r->runs[i].joined);
    free(r);
}

/* A revocation concerns some subscribers and not others; some kinds ask for a snapshot. */
static bool concerns_all_alike(const leat_event *e)
{
    leat_event_kind kind = leat_event_kind_of(e);
    return kind == LEAT_EVENT_DATA || kind == LEAT_EVENT_SKIP;
}

/* The event as the run's clients see it; NULL: not at all. */
static const leat_event *form_of(const leat_run *run, leat_ring *ring, leat_event *e)
{
    if (run->codec == NULL)
        return e;
    const leat_event *form = leat_codec_event(run->codec, e);
    leat_ring_charge_forms(ring, e);
    return form == e ? NULL : form;
}

static size_t longer(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Finds out how far a run from run->first can go. Returns the bytes of its frames. */
static size_t measure(leat_ring *ring, leat_run *run)
{
    size_t bytes = 0;
    leat_event *e;
    run->last = run->first - 1;
    while ((e = leat_ring_event(ring, run->last + 1)) != NULL && concerns_all_alike(e)) {
        const leat_event *form = form_of(run, ring, e);
        size_t len = form == NULL ? 0 : leat_event_frame(form).len;
        if (bytes + len > LEAT_RUN_BYTES)
            break;
        bytes += len;
        run->longest =
            form == NULL ? run->longest : longer(run->longest, leat_event_payload(form).len);
        run->last++;
    }
    return bytes;
}

static leat_event *join(leat_ring *ring, const leat_run *run, size_t bytes)
{
    leat_slice no_topic = {NULL, 0};
    leat_event *joined = leat_event_new(LEAT_EVENT_DATA, no_topic, run->last, bytes, 0, bytes, 0);
    char *at = leat_event_frame_room(joined);
    for (int64_t seq = run->first; seq <= run->last; seq++) {
        const leat_event *form = form_of(run, ring, leat_ring_event(ring, seq));
        if (form == NULL)
            continue;
        leat_slice frame = leat_event_frame(form);
        memcpy(at, frame.at, frame.len);
        at += frame.len;
    }
    return joined;
}

const leat_run *leat_runs_from(leat_runs *r, int64_t seq, const leat_codec *codec)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->runs[i].first == seq && r->runs[i].codec == codec)
            return &r->runs[i];
    if (r->n == LEAT_RUNS)
        return NULL;
    leat_run run = {.codec = codec, .first = seq};
    size_t bytes = measure(r->ring, &run);
    if (run.last <= run.first)
        return NULL;
    run.joined = join(r->ring, &run, bytes);
    r->runs[r->n] = run;
    return &r->runs[r->n++];
}
