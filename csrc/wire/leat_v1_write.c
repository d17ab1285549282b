/* leat_v1_write.c - the server's messages as JSON, and events, which are encoded once for all. */
#include "wire/leat_v1.h"

#include "wire/close_code.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/upgrade.h"
#include "wire/written.h"

enum {
    USUAL_HEAD = 160, /* room for most messages' small part */
};

/* {"op":"..." */
static void put_op(leat_buf *out, const char *op)
{
    leat_buf_text(out, "{\"op\":\"");
    leat_buf_text(out, op);
    leat_buf_char(out, '"');
}

static void put_id(leat_buf *out, leat_slice id)
{
    if (id.at == NULL)
        return;
    leat_buf_text(out, ",\"id\":");
    leat_buf_slice(out, id);
}

static void put_topic(leat_buf *out, leat_slice topic)
{
    leat_buf_text(out, ",\"topic\":");
    leat_json_write_text(out, topic);
}

static void put_seq(leat_buf *out, int64_t seq)
{
    leat_buf_text(out, ",\"seq\":");
    leat_buf_int(out, seq);
}

static void put_position(leat_buf *out, leat_slice epoch, int64_t seq)
{
    leat_buf_text(out, ",\"epoch\":");
    leat_json_write_text(out, epoch);
    put_seq(out, seq);
}

static void put_code(leat_buf *out, const leat_failure *failure)
{
    leat_buf_text(out, ",\"code\":\"");
    leat_buf_text(out, leat_code_name(failure->code));
    leat_buf_char(out, '"');
    if (failure->message.len > 0) {
        leat_buf_text(out, ",\"message\":");
        leat_json_write_text(out, failure->message);
    }
}

static void put_failure(leat_buf *out, const leat_failure *failure)
{
    put_code(out, failure);
    if (failure->retry_after_ms > 0) {
        leat_buf_text(out, ",\"retry_after_ms\":");
        leat_buf_int(out, failure->retry_after_ms);
    }
}

/* Reserves room for a whole message with that data: the data, which may be large, is copied once.
 */
static void begin(leat_buf *out, const char *op, size_t data_len)
{
    leat_buf_reserve(out, USUAL_HEAD + data_len);
    put_op(out, op);
}

/* Writes the data, unless data.at is NULL, and the end of the message. */
static void end(leat_buf *out, leat_slice data)
{
    if (data.at != NULL) {
        leat_buf_text(out, ",\"data\":");
        leat_json_append_line(out, data);
    }
    leat_buf_char(out, '}');
}

static const leat_slice no_data = {NULL, 0};

static leat_slice or_null(leat_slice json)
{
    return json.at == NULL ? leat_slice_of("null") : json;
}

bool leat_v1_write_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    begin(out, "snapshot", sub->data.len);
    put_id(out, id);
    put_topic(out, sub->topic);
    put_position(out, sub->epoch, sub->seq);
    if (sub->stale)
        leat_buf_text(out, ",\"stale\":true");
    end(out, or_null(sub->data));
    return true;
}

void leat_v1_write_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    begin(out, "resumed", 0);
    put_id(out, id);
    put_topic(out, sub->topic);
    put_position(out, sub->epoch, sub->seq);
    end(out, no_data);
}

static void put_written(leat_buf *out, leat_slice written)
{
    leat_written_position at;
    const char *before = ",\"at\":[{\"topic\":";
    if (written.len == 0)
        return;
    while (leat_written_next(&written, &at)) {
        leat_buf_text(out, before);
        leat_json_write_text(out, at.topic);
        put_position(out, at.epoch, at.seq);
        before = "},{\"topic\":";
    }
    leat_buf_text(out, "}]");
}

void leat_v1_write_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written)
{
    begin(out, "ok", data_json.len);
    put_id(out, id);
    put_written(out, written);
    end(out, data_json);
}

void leat_v1_write_error(leat_buf *out, leat_slice id, const leat_failure *failure)
{
    begin(out, "error", 0);
    put_id(out, id);
    put_failure(out, failure);
    end(out, no_data);
}

void leat_v1_write_topic_error(leat_buf *out, leat_slice topic, const leat_failure *failure)
{
    begin(out, "error", 0);
    put_topic(out, topic);
    put_failure(out, failure);
    end(out, no_data);
}

void leat_v1_write_closed(leat_buf *out, leat_slice topic, const leat_failure *failure)
{
    begin(out, "closed", 0);
    put_topic(out, topic);
    put_code(out, failure);
    end(out, no_data);
}

const char *leat_v1_event_name(leat_event_kind kind)
{
    switch (kind) {
    case LEAT_EVENT_DATA:
        return "event";
    case LEAT_EVENT_SKIP:
    case LEAT_EVENT_REVOKE:
    case LEAT_EVENT_RESYNC:
    case LEAT_EVENT_OVERSIZE:
        return "skip";
    case LEAT_EVENT_SIGNAL:
        return "signal";
    }
    LEAT_ASSUME(false); /* there is no other kind */
    return NULL;
}

/* Writes the frame into the event's room: header, small part, data if the frame shows it, '}'. */
static void fill_event(char *at, leat_slice small, leat_slice shown, size_t payload)
{
    at += leat_frame_write_header(at, LEAT_FRAME_TEXT, payload);
    memcpy(at, small.at, small.len);
    at += small.len;
    if (shown.len > 0)
        leat_json_copy_line(at, shown);
    at += shown.len;
    *at = '}';
}

leat_event *leat_v1_conflating(leat_slice topic, leat_slice key, leat_slice data_json)
{
    leat_slice shown = or_null(data_json);
    leat_buf small = LEAT_BUF_INIT;
    put_op(&small, leat_v1_event_name(LEAT_EVENT_SIGNAL));
    put_topic(&small, topic);
    leat_buf_text(&small, ",\"data\":");
    size_t payload = small.len + shown.len + 1;
    size_t header = leat_frame_header_len(payload);
    leat_event *e = leat_event_new_conflating(topic, key, header + payload, header,
                                              header + small.len, shown.len);
    fill_event(leat_event_frame_room(e), leat_buf_view(&small), shown, payload);
    leat_buf_close(&small);
    return e;
}

leat_event *leat_v1_event(leat_event_kind kind, leat_slice topic, int64_t seq, leat_slice data_json)
{
    bool shows_data = kind == LEAT_EVENT_DATA || kind == LEAT_EVENT_SIGNAL;
    leat_slice shown = shows_data ? or_null(data_json) : no_data;
    leat_buf small = LEAT_BUF_INIT;
    leat_buf_reserve(&small, USUAL_HEAD);
    put_op(&small, leat_v1_event_name(kind));
    put_topic(&small, topic);
    if (kind != LEAT_EVENT_SIGNAL)
        put_seq(&small, seq);
    if (shows_data)
        leat_buf_text(&small, ",\"data\":");
    size_t payload = small.len + shown.len + 1;
    size_t header = leat_frame_header_len(payload);
    size_t frame = header + payload;
    /* Who is revoked is nobody's business but the server's: it lies behind the frame. */
    bool hidden = kind == LEAT_EVENT_REVOKE;
    leat_event *e =
        leat_event_new(kind, topic, seq, frame, header, hidden ? frame : header + small.len,
                       hidden ? data_json.len : shown.len);
    char *room = leat_event_frame_room(e);
    fill_event(room, leat_buf_view(&small), shown, payload);
    if (hidden && data_json.len > 0)
        memcpy(room + frame, data_json.at, data_json.len);
    leat_buf_close(&small);
    return e;
}

/* A frame is one message. */
static int read_frame(leat_message *out, leat_slice *frame, size_t max_values, leat_buf *scratch,
                      char *reason, size_t reason_size)
{
    leat_slice text = *frame;
    *frame = (leat_slice){text.at + text.len, 0};
    return leat_v1_parse(out, text, max_values, scratch, reason, reason_size);
}

static void write_welcome(leat_buf *out, leat_slice id, const leat_welcome *welcome)
{
    leat_v1_write_ok(out, id, no_data, welcome->written);
}

static int close_code(int code)
{
    return code == LEAT_CLOSE_EXPIRED ? LEAT_CLOSE_IDENTITY : code;
}

const leat_codec leat_v1_codec = {
    .name = LEAT_UPGRADE_SUBPROTOCOL,
    .clients = LEAT_M_CLIENTS_LEAT,
    .read = read_frame,
    .write_snapshot = leat_v1_write_snapshot,
    .write_resumed = leat_v1_write_resumed,
    .write_ok = leat_v1_write_ok,
    .write_welcome = write_welcome,
    .write_error = leat_v1_write_error,
    .write_topic_error = leat_v1_write_topic_error,
    .write_closed = leat_v1_write_closed,
    .close_code = close_code,
};
