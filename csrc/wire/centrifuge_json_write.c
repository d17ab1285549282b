/* centrifuge_json_write.c - replies and pushes as JSON, one line each. */
#include "wire/centrifuge_command.h"
#include "wire/centrifuge_json.h"
#include "wire/frame.h"
#include "wire/json.h"

enum { USUAL_HEAD = 160 };

static const leat_slice none = {NULL, 0};

static void put_number(leat_buf *out, const char *name, int64_t n)
{
    leat_buf_text(out, name);
    leat_buf_int(out, n);
}

static void put_text(leat_buf *out, const char *name, leat_slice text)
{
    leat_buf_text(out, name);
    leat_json_write_text(out, text);
}

static void put_data(leat_buf *out, const char *name, leat_slice json)
{
    leat_buf_text(out, name);
    if (json.at == NULL)
        leat_buf_text(out, "null");
    else
        leat_json_append_line(out, json);
}

/* {"id":5,"subscribe":{ */
static void begin_reply(leat_buf *out, const centrifuge_id *id, size_t data_len)
{
    leat_buf_reserve(out, USUAL_HEAD + data_len);
    leat_buf_text(out, "{\"id\":");
    leat_buf_slice(out, id->number);
    leat_buf_text(out, ",\"");
    leat_buf_text(out, centrifuge_method_names[id->method]);
    leat_buf_text(out, "\":{");
}

static void end_reply(leat_buf *out)
{
    leat_buf_text(out, "}}");
}

static void put_error(leat_buf *out, leat_slice number, const centrifuge_error *error)
{
    leat_buf_text(out, "{\"id\":");
    leat_buf_slice(out, number);
    put_number(out, ",\"error\":{\"code\":", error->code);
    put_text(out, ",\"message\":", error->message);
    if (error->temporary)
        leat_buf_text(out, ",\"temporary\":true");
    end_reply(out);
}

/* {"push":{"channel":"chat:42" */
static void begin_push(leat_buf *out, leat_slice topic, size_t data_len)
{
    leat_buf_reserve(out, USUAL_HEAD + data_len);
    put_text(out, "{\"push\":{\"channel\":", topic);
}

static void put_end(leat_buf *out, leat_slice topic, uint32_t code, leat_slice reason)
{
    begin_push(out, topic, 0);
    put_number(out, ",\"unsubscribe\":{\"code\":", code);
    put_text(out, ",\"reason\":", reason);
    leat_buf_text(out, "}}}");
}

static void put_position(leat_buf *out, leat_slice epoch, int64_t seq)
{
    put_text(out, "\"recoverable\":true,\"positioned\":true,\"epoch\":", epoch);
    put_number(out, ",\"offset\":", seq);
}

static void put_lost(leat_buf *out, leat_slice number)
{
    put_error(out, number,
              &(centrifuge_error){CENTRIFUGE_ERROR_LOST, leat_slice_of(CENTRIFUGE_LOST), false});
}

/* before: a comma, unless it begins the object. */
static void put_expiry(leat_buf *out, const char *before, uint64_t expires_s)
{
    if (expires_s == 0)
        return;
    leat_buf_text(out, before);
    put_number(out, "\"expires\":true,\"ttl\":", (int64_t)centrifuge_ttl_s(expires_s));
}

bool centrifuge_json_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    centrifuge_id to = centrifuge_read_id(id);
    if (id.at == NULL) {
        put_end(out, sub->topic, CENTRIFUGE_END_RESYNC, leat_slice_of("resync"));
        return false;
    }
    if (to.rejects) {
        put_lost(out, to.number);
        return false;
    }
    begin_reply(out, &to, sub->data.len);
    put_position(out, centrifuge_epoch(sub->epoch, sub->stale), sub->seq);
    put_expiry(out, ",", centrifuge_expiry(&to, sub));
    if (to.recovers)
        leat_buf_text(out, ",\"was_recovering\":true");
    put_data(out, ",\"data\":", sub->data);
    end_reply(out);
    return true;
}

void centrifuge_json_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    centrifuge_id to = centrifuge_read_id(id);
    begin_reply(out, &to, 0);
    put_position(out, sub->epoch, sub->seq);
    put_expiry(out, ",", centrifuge_expiry(&to, sub));
    leat_buf_text(out, ",\"recovered\":true,\"was_recovering\":true");
    end_reply(out);
}

void centrifuge_json_renewed(leat_buf *out, leat_slice id, uint64_t expires_s)
{
    centrifuge_id to = centrifuge_read_id(id);
    begin_reply(out, &to, 0);
    put_expiry(out, "", expires_s);
    end_reply(out);
}

void centrifuge_json_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written)
{
    centrifuge_id to = centrifuge_read_id(id);
    (void)written; /* the protocol has no place for positions */
    begin_reply(out, &to, data_json.len);
    if (to.method == CENTRIFUGE_RPC)
        put_data(out, "\"data\":", data_json);
    end_reply(out);
}

void centrifuge_json_welcome(leat_buf *out, leat_slice id, const leat_welcome *welcome)
{
    centrifuge_id to = centrifuge_read_id(id);
    begin_reply(out, &to, 0);
    put_text(out, "\"client\":", welcome->client);
    leat_buf_text(out, ",\"version\":\"leat\"");
    put_expiry(out, ",", welcome->expires_s);
    if (to.method == CENTRIFUGE_CONNECT) {
        uint64_t ping_s = welcome->ping_ms / 1000;
        put_number(out, ",\"ping\":", ping_s > 0 ? (int64_t)ping_s : 1);
    }
    if (welcome->subs.len > 0) {
        leat_buf_text(out, ",\"subs\":{");
        leat_buf_append(out, welcome->subs.at + 1, welcome->subs.len - 1); /* without its comma */
        leat_buf_char(out, '}');
    }
    end_reply(out);
}

void centrifuge_json_error(leat_buf *out, leat_slice id, const leat_failure *failure)
{
    centrifuge_id to = centrifuge_read_id(id);
    centrifuge_error error = centrifuge_error_of(&to, failure);
    if (error.code == 0)
        centrifuge_json_ok(out, id, none, none);
    else
        put_error(out, to.number, &error);
}

void centrifuge_json_closed(leat_buf *out, leat_slice topic, const leat_failure *failure)
{
    put_end(out, topic, centrifuge_end_of(failure), leat_slice_of(leat_code_name(failure->code)));
}

void centrifuge_json_ping(leat_buf *out)
{
    leat_buf_text(out, "{}");
}

/* --- subscriptions that the server makes --- */

static void put_subscribed(leat_buf *out, const leat_subscribed *sub)
{
    leat_buf_char(out, '{');
    put_position(out, centrifuge_epoch(sub->epoch, sub->stale), sub->seq);
    if (sub->recovers)
        leat_buf_text(out, ",\"was_recovering\":true");
    if (sub->data.at != NULL)
        put_data(out, ",\"data\":", sub->data);
    else
        leat_buf_text(out, ",\"recovered\":true");
    leat_buf_char(out, '}');
}

void centrifuge_json_subscribed(leat_buf *out, const leat_subscribed *sub)
{
    begin_push(out, sub->topic, sub->data.len);
    leat_buf_text(out, ",\"subscribe\":");
    put_subscribed(out, sub);
    end_reply(out);
}

/* Each with a comma before it. */
void centrifuge_json_sub(leat_buf *out, const leat_subscribed *sub)
{
    leat_buf_reserve(out, USUAL_HEAD + sub->data.len);
    put_text(out, ",", sub->topic);
    leat_buf_char(out, ':');
    put_subscribed(out, sub);
}

/* --- history --- */

void centrifuge_json_history(leat_buf *out, leat_slice id, const leat_stored *stored)
{
    centrifuge_id to = centrifuge_read_id(id);
    size_t bytes = 0;
    if (stored->lost) {
        put_lost(out, to.number);
        return;
    }
    for (size_t i = 0; i < stored->n; i++)
        bytes += stored->events[i].data.len + USUAL_HEAD;
    begin_reply(out, &to, bytes);
    put_text(out, "\"epoch\":", stored->epoch);
    put_number(out, ",\"offset\":", stored->seq);
    leat_buf_text(out, ",\"publications\":[");
    for (size_t i = 0; i < stored->n; i++) {
        put_data(out, i == 0 ? "{\"data\":" : ",{\"data\":", stored->events[i].data);
        put_number(out, ",\"offset\":", stored->events[i].seq);
        leat_buf_char(out, '}');
    }
    leat_buf_char(out, ']');
    end_reply(out);
}

leat_event *centrifuge_json_event(leat_event *e)
{
    leat_event_kind kind = leat_event_kind_of(e);
    if (kind != LEAT_EVENT_DATA && kind != LEAT_EVENT_SIGNAL)
        return e;
    leat_slice data = leat_event_data(e);
    leat_buf text = LEAT_BUF_INIT;
    begin_push(&text, leat_event_topic(e), data.len);
    put_data(&text, ",\"pub\":{\"data\":", data);
    if (kind == LEAT_EVENT_DATA)
        put_number(&text, ",\"offset\":", leat_event_seq(e));
    leat_buf_text(&text, "}}}");
    leat_event *made = leat_codec_frame_event(e, LEAT_FRAME_TEXT, leat_buf_view(&text));
    leat_buf_close(&text);
    return made;
}
