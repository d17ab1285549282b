/* Any bytes as a client's message. A good one has what its op needs; a bad one gives a reason; what
 * the server answers with the id is JSON. */
#include "fuzz.h"

#include "base/utf8.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

static void check_json(leat_slice raw)
{
    if (raw.at != NULL)
        CHECK(leat_json_validate(raw, LEAT_JSON_MAX_DEPTH) == 0);
}

static void check_text(leat_slice text)
{
    CHECK(leat_utf8_valid(text.at, text.len));
}

static void check_needs(const leat_message *m)
{
    switch (m->op) {
    case LEAT_OP_PUBLISH:
        CHECK(m->data.at != NULL);
        CHECK(leat_v1_topic_ok(m->topic));
        break;
    case LEAT_OP_SUBSCRIBE:
    case LEAT_OP_UNSUBSCRIBE:
        CHECK(leat_v1_topic_ok(m->topic));
        break;
    case LEAT_OP_CALL:
        CHECK(m->method.len > 0);
        break;
    case LEAT_OP_AUTHENTICATE:
        CHECK(m->token.at != NULL);
        break;
    }
}

static void check_message(const leat_message *m)
{
    check_needs(m);
    check_json(m->id);
    check_json(m->params);
    check_json(m->data);
    check_text(m->topic);
    check_text(m->method);
    check_text(m->token);
    check_text(m->since_epoch);
    CHECK(m->since_seq >= 0 && m->since_seq <= LEAT_SEQ_MAX);
    CHECK(m->timeout_ms <= (uint64_t)LEAT_SEQ_MAX + 1);
}

static void check_json_line(leat_slice message)
{
    CHECK(leat_json_validate(message, LEAT_JSON_MAX_DEPTH) == 0);
    CHECK(memchr(message.at, '\n', message.len) == NULL);
    CHECK(memchr(message.at, '\r', message.len) == NULL);
}

static void check_frame(leat_slice frame)
{
    size_t header = frame.len < 128 ? 2 : frame.len < 65540 ? 4 : 10;
    CHECK(frame.len > header);
    leat_slice payload = {frame.at + header, frame.len - header};
    CHECK(leat_frame_header_len(payload.len) == header);
    check_json_line(payload);
}

static void check_answers(const leat_message *m, const char *reason)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_v1_write_error(&out, m->id,
                        &(leat_failure){LEAT_CODE_BAD_REQUEST, leat_slice_of(reason), 0});
    check_json_line(leat_buf_view(&out));
    out.len = 0;
    leat_subscribed sub = {m->topic, .epoch = m->since_epoch, .seq = m->since_seq, .stale = true,
                           .data = m->data};
    leat_v1_write_snapshot(&out, m->id, &sub);
    check_json_line(leat_buf_view(&out));
    leat_buf_close(&out);
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, m->topic, m->since_seq, m->params);
    check_frame(leat_event_frame(e));
    leat_event_unref(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_slice text = {(const char *)data, size};
    leat_buf scratch = LEAT_BUF_INIT;
    char reason[200] = "";
    leat_message m;
    int err = leat_v1_parse(&m, text, 100, &scratch, reason, sizeof(reason));
    CHECK((err < 0) == (reason[0] != '\0'));
    if (err == 0)
        check_message(&m);
    check_json(m.id);
    check_answers(&m, reason);
    leat_buf_close(&scratch);
    return 0;
}
