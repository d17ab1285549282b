/* http_conn_hold.c - the bytes that a connection holds. They are counted in a pot of the side
 * (leat_http_conn_count): that of the guests, or, from leat_http_conn_let_in to the answer, that of
 * the callers who were let in. */
#include "http/http_conn.h"
#include "http/http_conn_private.h"

size_t leat_http_conn_received(const leat_http_conn *c)
{
    return c->input.cap + leat_http_parser_bytes(c->parser);
}

/* What a connection still sends that ends is little, or is bounded by close_timeout_ms. */
void leat_http_conn_count(leat_http_conn *c)
{
    size_t held = 0;
    if (!leat_http_conn_ended(c)) {
        size_t unsent = leat_conn_queued(c->conn);
        held = leat_http_conn_received(c) + c->held_ahead;
        held += unsent > LEAT_HTTP_CONN_LITTLE_UNSENT ? unsent : 0;
    }
    leat_http_side_count(c->side, c->pot, c->counted, held);
    c->counted = held;
}

void leat_http_conn_change_pot(leat_http_conn *c, leat_http_pot pot)
{
    leat_http_side_count(c->side, c->pot, c->counted, 0);
    leat_http_side_count(c->side, pot, 0, c->counted);
    c->pot = pot;
}

bool leat_http_conn_over_budget(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, c->counted);
}

bool leat_http_conn_scarce(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, SIZE_MAX);
}

void leat_http_conn_hold(leat_http_conn *c, size_t bytes)
{
    c->held_ahead = bytes;
    leat_http_conn_count(c);
}

void leat_http_conn_let_in(leat_http_conn *c)
{
    leat_http_conn_change_pot(c, LEAT_HTTP_POT_CALLERS);
}
