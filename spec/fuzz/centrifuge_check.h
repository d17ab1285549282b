/* centrifuge_check.h - what holds of every message that a codec of Centrifugo's protocol reads, and
 * when two of them say the same.
 */
#ifndef LEAT_SPEC_CENTRIFUGE_CHECK_H
#define LEAT_SPEC_CENTRIFUGE_CHECK_H

#include "fuzz.h"

#include "base/utf8.h"
#include "wire/centrifuge.h"
#include "wire/centrifuge_command.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum { CHECK_VALUES = 100 };

typedef struct reading {
    leat_message message;
    leat_buf scratch;
    char reason[200];
    int err;
} reading;

static inline void check_json(leat_slice raw)
{
    if (raw.at != NULL)
        CHECK(leat_json_validate(raw, LEAT_JSON_MAX_DEPTH) == 0);
}

static inline void check_text(leat_slice text)
{
    CHECK(leat_utf8_valid(text.at, text.len));
}

static inline void check_id(leat_slice id)
{
    int64_t number = 0;
    centrifuge_id to = centrifuge_read_id(id);
    CHECK(id.at == NULL || to.method < CENTRIFUGE_METHODS);
    CHECK(leat_json_int(to.number, &number) && number >= (id.at == NULL ? 0 : 1) &&
          number <= UINT32_MAX);
}

static inline void check_message(const leat_message *m)
{
    bool names_topic = m->op == LEAT_OP_SUBSCRIBE || m->op == LEAT_OP_UNSUBSCRIBE ||
                       m->op == LEAT_OP_PUBLISH || m->op == LEAT_OP_HISTORY;
    CHECK(!names_topic || leat_v1_topic_ok(m->topic));
    CHECK(m->op != LEAT_OP_PUBLISH || m->data.at != NULL);
    CHECK(m->op != LEAT_OP_CALL || m->method.len > 0);
    CHECK(m->op == LEAT_OP_NOTHING || m->id.at != NULL);
    check_json(m->params);
    check_json(m->data);
    check_text(m->topic);
    check_text(m->method);
    check_text(m->token);
    check_text(m->since_epoch);
    CHECK(m->since_seq >= 0 && m->since_seq <= LEAT_SEQ_MAX);
}

/* Reads the next command of a frame, which gets shorter. r->scratch is the caller's to close. */
static inline void read_next(const leat_codec *codec, leat_slice *frame, size_t max_values,
                             reading *r)
{
    size_t left = frame->len;
    r->reason[0] = '\0';
    r->err = codec->read(&r->message, frame, max_values, &r->scratch, r->reason, sizeof(r->reason));
    CHECK(frame->len < left || left == 0);
    CHECK((r->err < 0) == (r->reason[0] != '\0'));
    check_id(r->message.id);
    if (r->err == 0)
        check_message(&r->message);
}

static inline void check_same_position(const leat_message *a, const leat_message *b)
{
    CHECK(a->has_since == b->has_since);
    CHECK(!a->has_since ||
          (a->since_seq == b->since_seq && leat_slice_equal(a->since_epoch, b->since_epoch)));
}

/* Only what matters to the op: the rest is nothing to the server. */
static inline void check_same(const leat_message *a, const leat_message *b)
{
    CHECK(a->op == b->op);
    CHECK(leat_slice_equal(centrifuge_read_id(a->id).number, centrifuge_read_id(b->id).number));
    switch (a->op) {
    case LEAT_OP_SUBSCRIBE:
        CHECK(leat_slice_equal(a->topic, b->topic) && leat_slice_equal(a->params, b->params));
        check_same_position(a, b);
        break;
    case LEAT_OP_UNSUBSCRIBE:
        CHECK(leat_slice_equal(a->topic, b->topic));
        break;
    case LEAT_OP_PUBLISH:
        CHECK(leat_slice_equal(a->topic, b->topic) && leat_slice_equal(a->data, b->data));
        break;
    case LEAT_OP_CALL:
        CHECK(leat_slice_equal(a->method, b->method) && leat_slice_equal(a->params, b->params));
        break;
    case LEAT_OP_AUTHENTICATE:
        CHECK(leat_slice_equal(a->token, b->token));
        break;
    case LEAT_OP_HISTORY:
        CHECK(leat_slice_equal(a->topic, b->topic) && a->limit == b->limit &&
              a->reverse == b->reverse);
        check_same_position(a, b);
        break;
    case LEAT_OP_RENEW:
        CHECK(leat_slice_equal(a->topic, b->topic) && leat_slice_equal(a->token, b->token));
        break;
    case LEAT_OP_ABSENT:
    case LEAT_OP_NOTHING:
        break;
    }
}

/* The other form of the protocol reads the command that was made of m as m. */
static inline void check_other_form(const leat_codec *codec, leat_slice frame,
                                    const leat_message *m)
{
    reading other = {.err = 0};
    read_next(codec, &frame, SIZE_MAX, &other);
    CHECK(other.err == 0 && frame.len == 0);
    check_same(m, &other.message);
    leat_buf_close(&other.scratch);
}

#endif
