/* view.h - what one client knows of each topic, and whether what it is told fits.
 *
 * Ownership  a viewer is embedded in its client, and keeps what it knows over its connections.
 * Threads    main thread.
 * Units      seq, of an epoch.
 * Errors     violations.
 */
#ifndef TORTURE_VIEW_H
#define TORTURE_VIEW_H

#include "base/buf.h"
#include "ledger.h"
#include "sse.h"

enum { TRAIL = 12, TRAIL_LEN = 72 };

typedef enum view_state {
    VIEW_IDLE,
    VIEW_ASKED, /* the subscribe is not answered */
    VIEW_LIVE,
    VIEW_LEAVING, /* the unsubscribe is not answered */
} view_state;

/* A topic as far as it is known. */
typedef struct standing {
    bool known;
    bool emptied; /* it began with an empty snapshot of a watched table */
    place at;
    summary summary;
} standing;

typedef struct view {
    view_state state;
    bool told;          /* on this connection, where the topic is */
    bool stale;         /* of an SDK: it is not told of which epoch its snapshot is */
    bool since;         /* the subscribe said from where */
    bool leaving_asked; /* unsubscribed before the subscribe was answered */
    int64_t id;         /* of the subscribe that is not answered; 0: of a stream */
    int64_t leave_id;   /* of the unsubscribe that is not answered; 0: none */
    standing now;
    standing before; /* the last one of the epoch before this one */
    standing asked;  /* where the subscribe said from */
} view;

typedef struct viewer {
    torture *torture;
    dice *dice;
    int number;
    int user;
    bool leaving; /* a close frame was sent */
    int streamed; /* the topic of its stream, if it uses stream routes */
    int64_t last_id;
    int64_t renewal_id;
    view views[TOPICS];
    char trail[TRAIL][TRAIL_LEN]; /* the last messages, for the context of a violation */
    unsigned n_trail;
} viewer;

void viewer_init(viewer *v, torture *t, int number, int user, dice *d);
void viewer_connected(viewer *v);
void viewer_disconnected(viewer *v);
void viewer_leaving(viewer *v);
void viewer_take(viewer *v, leat_slice text);
void viewer_take_sse(viewer *v, const sse_event *e);

/* A stream route's request is sent: chooses the topic, and from where. */
const view *viewer_open_stream(viewer *v);
/* It was answered with another status than the one that opens it. */
void viewer_refused_stream(viewer *v, int status);

/* Each writes a request, or nothing if there is nothing to ask. */
void viewer_subscribe(viewer *v, leat_buf *text);
void viewer_unsubscribe(viewer *v, leat_buf *text);
void viewer_authenticate(viewer *v, leat_buf *text);

bool viewer_settled(viewer *v, bool report);
unsigned viewer_live(const viewer *v);

#endif
