/* tls_facts.c - each text begins with '+' and ends with a zero byte; an absent one is the zero byte
 * alone. */
#include "wire/tls_facts.h"

#include <string.h>

static void put(leat_buf *out, leat_slice text)
{
    if (text.at != NULL) {
        leat_buf_char(out, '+');
        leat_buf_slice(out, text);
    }
    leat_buf_char(out, '\0');
}

static leat_slice take(leat_slice *rest)
{
    size_t len = strlen(rest->at);
    leat_slice text = len == 0 ? (leat_slice){NULL, 0} : (leat_slice){rest->at + 1, len - 1};
    rest->at += len + 1;
    rest->len -= len + 1;
    return text;
}

void leat_tls_facts_pack(leat_buf *out, const leat_tls_facts *facts)
{
    put(out, facts->version);
    put(out, facts->cipher);
    put(out, facts->server_name);
    put(out, facts->subject);
    put(out, facts->fingerprint);
    put(out, leat_slice_of(facts->verified ? "" : NULL));
}

leat_tls_facts leat_tls_facts_read(leat_slice packed)
{
    leat_slice rest = packed;
    leat_tls_facts facts;
    facts.version = take(&rest);
    facts.cipher = take(&rest);
    facts.server_name = take(&rest);
    facts.subject = take(&rest);
    facts.fingerprint = take(&rest);
    facts.verified = take(&rest).at != NULL;
    return facts;
}
