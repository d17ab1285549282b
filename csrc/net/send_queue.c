/* send_queue.c - one piece, or a ring of several. Small copies that follow each other share one
 * block. */
#include "net/send_queue.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum piece_kind {
    PIECE_BLOCK, /* owner: a block that copies share */
    PIECE_HEAP,  /* owner: bytes to be freed */
    PIECE_EVENT, /* owner: an event to be unreferenced */
};

enum {
    FIRST_CAP = 4,
    BLOCK_ROOM = 1008, /* makes a block of one kilobyte, its header included */
    SMALL = 256,       /* owned bytes up to here are copied if others wait before them: a block is
                          denser than many of them */
};

typedef struct block {
    size_t len;
    size_t cap;
    char bytes[];
} block;

void leat_send_queue_init(leat_send_queue *q)
{
    q->bytes = 0;
    q->count_ = q->cap_ = 0;
}

static const leat_send_piece *piece_at(const leat_send_queue *q, uint32_t i)
{
    return q->cap_ == 0 ? &q->one_ : &q->ring_.at[(q->ring_.head + i) & (q->cap_ - 1)];
}

static leat_send_piece *place_of(leat_send_queue *q, uint32_t i)
{
    return (leat_send_piece *)piece_at(q, i);
}

static void release(const leat_send_piece *p)
{
    switch ((enum piece_kind)p->kind_) {
    case PIECE_BLOCK:
    case PIECE_HEAP:
        free(p->owner_);
        break;
    case PIECE_EVENT:
        leat_event_unref(p->owner_);
        break;
    }
}

static void free_ring(leat_send_queue *q)
{
    if (q->cap_ > 0)
        free(q->ring_.at);
}

void leat_send_queue_close(leat_send_queue *q)
{
    for (uint32_t i = 0; i < q->count_; i++)
        release(piece_at(q, i));
    free_ring(q);
    leat_send_queue_init(q);
}

static void grow(leat_send_queue *q)
{
    LEAT_ASSERT(q->cap_ < UINT32_MAX / 4);
    uint32_t cap = q->cap_ == 0 ? FIRST_CAP : q->cap_ * 4;
    leat_send_piece *at = leat_calloc(cap, sizeof(*at));
    for (uint32_t i = 0; i < q->count_; i++)
        at[i] = *piece_at(q, i);
    free_ring(q);
    q->ring_ = (struct leat_send_ring){.at = at};
    q->cap_ = cap;
}

static bool is_full(const leat_send_queue *q)
{
    return q->count_ == (q->cap_ == 0 ? 1 : q->cap_);
}

static void push(leat_send_queue *q, leat_slice bytes, enum piece_kind kind, void *owner)
{
    LEAT_ASSERT(bytes.len <= UINT32_MAX);
    if (is_full(q))
        grow(q);
    *place_of(q, q->count_++) =
        (leat_send_piece){bytes.at, (uint32_t)bytes.len, (uint32_t)kind, owner};
    q->bytes += bytes.len;
}

/* Appends to the block that ends the queue, if it has room. */
static bool extend_last(leat_send_queue *q, leat_slice bytes)
{
    if (q->count_ == 0)
        return false;
    leat_send_piece *last = place_of(q, q->count_ - 1);
    if (last->kind_ != PIECE_BLOCK)
        return false;
    block *b = last->owner_;
    if (bytes.len > b->cap - b->len)
        return false;
    memcpy(b->bytes + b->len, bytes.at, bytes.len);
    b->len += bytes.len;
    last->len_ += (uint32_t)bytes.len;
    q->bytes += bytes.len;
    return true;
}

void leat_send_queue_copy(leat_send_queue *q, leat_slice bytes)
{
    if (bytes.len == 0 || extend_last(q, bytes))
        return;
    size_t cap = bytes.len > BLOCK_ROOM ? bytes.len : BLOCK_ROOM;
    block *b = leat_realloc(NULL, sizeof(*b) + cap);
    b->cap = cap;
    b->len = bytes.len;
    memcpy(b->bytes, bytes.at, bytes.len);
    push(q, (leat_slice){b->bytes, b->len}, PIECE_BLOCK, b);
}

void leat_send_queue_take(leat_send_queue *q, leat_buf *bytes, size_t from)
{
    leat_slice tail = {bytes->at + from, bytes->len - from};
    if (tail.len == 0 || (tail.len <= SMALL && q->count_ > 0)) {
        leat_send_queue_copy(q, tail);
        leat_buf_close(bytes);
        return;
    }
    push(q, tail, PIECE_HEAP, bytes->at);
    *bytes = LEAT_BUF_INIT;
}

void leat_send_queue_event(leat_send_queue *q, leat_event *e, leat_slice part)
{
    if (part.len > 0)
        push(q, part, PIECE_EVENT, leat_event_ref(e));
}

size_t leat_send_queue_gather(const leat_send_queue *q, struct iovec *iov, size_t max,
                              size_t *total)
{
    size_t n = q->count_ < max ? q->count_ : max;
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        const leat_send_piece *p = piece_at(q, (uint32_t)i);
        iov[i] = (struct iovec){(void *)p->at_, p->len_};
        *total += p->len_;
    }
    return n;
}

void leat_send_queue_consume(leat_send_queue *q, size_t n)
{
    LEAT_ASSERT(n <= q->bytes);
    q->bytes -= n;
    while (n > 0) {
        LEAT_ASSUME(q->cap_ > 0 || q->count_ == 1);
        leat_send_piece *p = place_of(q, 0);
        if (n < p->len_) {
            p->at_ += n;
            p->len_ -= (uint32_t)n;
            return;
        }
        n -= p->len_;
        release(p);
        if (q->cap_ > 0)
            q->ring_.head = (q->ring_.head + 1) & (q->cap_ - 1);
        q->count_--;
    }
    if (q->count_ == 0 && q->cap_ > 0)
        leat_send_queue_close(q);
}
