/* hub_mail.c - a growing array of news. Only news that name a topic need an allocation of their
 * own: an event brings its topic's name along. */
#include "mail/hub_mail.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 4 };

leat_hub_mail *leat_hub_mail_new(void)
{
    return leat_calloc(1, sizeof(leat_hub_mail));
}

static leat_hub_news *add(leat_hub_mail *m, leat_hub_news_kind kind)
{
    if (m->n == m->capacity_) {
        m->capacity_ = m->capacity_ == 0 ? FIRST_CAPACITY : m->capacity_ * 2;
        m->news = leat_realloc(m->news, m->capacity_ * sizeof(*m->news));
    }
    leat_hub_news *news = &m->news[m->n++];
    *news = (leat_hub_news){.kind = kind};
    return news;
}

/* Copies the topic's name and the epoch, one behind the other, for the news to own. */
static leat_topic_life copy_texts(leat_hub_news *news, leat_topic_life topic, leat_slice *epoch)
{
    news->text_ = leat_calloc(1, topic.name.len + epoch->len + 1);
    memcpy(news->text_, topic.name.at, topic.name.len);
    if (epoch->len > 0)
        memcpy(news->text_ + topic.name.len, epoch->at, epoch->len);
    *epoch = (leat_slice){news->text_ + topic.name.len, epoch->len};
    return (leat_topic_life){{news->text_, topic.name.len}, topic.generation};
}

void leat_hub_mail_armed(leat_hub_mail *m, leat_topic_life topic)
{
    leat_hub_news *news = add(m, LEAT_HUB_ARMED);
    leat_slice none = {NULL, 0};
    news->armed = copy_texts(news, topic, &none);
}

void leat_hub_mail_begin(leat_hub_mail *m, leat_topic_life topic, const leat_named_position *at)
{
    leat_hub_news *news = add(m, LEAT_HUB_BEGIN);
    news->begin.at = *at;
    news->begin.topic = copy_texts(news, topic, &news->begin.at.epoch);
}

void leat_hub_mail_reset(leat_hub_mail *m, leat_topic_life topic, int reason)
{
    leat_hub_news *news = add(m, LEAT_HUB_RESET);
    leat_slice none = {NULL, 0};
    news->reset.reason = reason;
    news->reset.topic = copy_texts(news, topic, &none);
}

void leat_hub_mail_event(leat_hub_mail *m, leat_hub_news_kind kind, uint64_t generation,
                         leat_event *e)
{
    LEAT_ASSERT(kind == LEAT_HUB_EVENT || kind == LEAT_HUB_SIGNAL);
    leat_hub_news *news = add(m, kind);
    news->event.event = leat_event_ref(e);
    news->event.generation = generation;
    m->bytes += leat_event_bytes(e);
}

void leat_hub_mail_add(leat_hub_mail *m, leat_hub_news_kind kind)
{
    LEAT_ASSERT(kind >= LEAT_HUB_CONFIRMED);
    add(m, kind);
}

static bool has_event(const leat_hub_news *news)
{
    return news->kind == LEAT_HUB_EVENT || news->kind == LEAT_HUB_SIGNAL;
}

leat_event *leat_hub_news_take_event(leat_hub_news *news)
{
    LEAT_ASSERT(has_event(news) && news->event.event != NULL);
    leat_event *e = news->event.event;
    news->event.event = NULL;
    return e;
}

void leat_hub_mail_post(const leat_line *l, leat_hub_mail *m)
{
    if (!leat_line_post(l, l->worker, &m->mail))
        leat_hub_mail_free(m);
}

void leat_hub_mail_free(leat_hub_mail *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (has_event(&m->news[i]) && m->news[i].event.event != NULL)
            leat_event_unref(m->news[i].event.event);
        free(m->news[i].text_);
    }
    free(m->news);
    free(m);
}
