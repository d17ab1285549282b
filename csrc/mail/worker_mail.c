/* worker_mail.c - one allocation for each mail: the struct, and behind it the texts that it names.
 */
#include "mail/worker_mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static leat_worker_mail *make(leat_worker_mail_kind kind, leat_line *line, size_t text_len)
{
    leat_worker_mail *m = leat_calloc(1, sizeof(*m) + text_len);
    m->kind = kind;
    m->line = line;
    return m;
}

/* Copies text to `at`, within the mail. Absent and empty texts need no bytes. */
static leat_slice put_text(char *at, leat_slice text)
{
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    return (leat_slice){at, text.len};
}

leat_worker_mail *leat_worker_mail_new(leat_worker_mail_kind kind, leat_line *line)
{
    return make(kind, line, 0);
}

leat_worker_mail *leat_worker_mail_topic(leat_worker_mail_kind kind, leat_line *line,
                                         leat_topic_life topic)
{
    LEAT_ASSERT(kind == LEAT_WORKER_ARM || kind == LEAT_WORKER_DISARM);
    leat_worker_mail *m = make(kind, line, topic.name.len);
    m->topic = (leat_topic_life){put_text(m->text_, topic.name), topic.generation};
    return m;
}

leat_worker_mail *leat_worker_mail_position(leat_line *line, leat_topic_life topic,
                                            const leat_named_position *at)
{
    leat_worker_mail *m = make(LEAT_WORKER_POSITION, line, topic.name.len + at->epoch.len);
    m->position.topic = (leat_topic_life){put_text(m->text_, topic.name), topic.generation};
    m->position.at = *at;
    m->position.at.epoch = put_text(m->text_ + topic.name.len, at->epoch);
    return m;
}

leat_worker_mail *leat_worker_mail_read_refused(leat_line *line, const char *sqlstate)
{
    leat_worker_mail *m = make(LEAT_WORKER_READ_REFUSED, line, 0);
    snprintf(m->sqlstate, sizeof(m->sqlstate), "%s", sqlstate);
    return m;
}

void leat_worker_mail_post(leat_worker_mail *m)
{
    if (!leat_line_post(m->line, m->line->hub, &m->mail))
        leat_worker_mail_free(m);
}

void leat_worker_mail_free(leat_worker_mail *m)
{
    free(m);
}
