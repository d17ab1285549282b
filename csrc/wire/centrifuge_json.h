/* centrifuge_json.h - the JSON form of Centrifugo's protocol, in two files: reading and writing.
 *
 * Ownership, threads, units, errors  as codec.h says: these are the functions of the codec.
 */
#ifndef LEAT_WIRE_CENTRIFUGE_JSON_H
#define LEAT_WIRE_CENTRIFUGE_JSON_H

#include "wire/codec.h"

bool centrifuge_json_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub);
void centrifuge_json_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub);
void centrifuge_json_renewed(leat_buf *out, leat_slice id, uint64_t expires_s);
void centrifuge_json_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written);
void centrifuge_json_welcome(leat_buf *out, leat_slice id, const leat_welcome *welcome);
void centrifuge_json_error(leat_buf *out, leat_slice id, const leat_failure *failure);
void centrifuge_json_closed(leat_buf *out, leat_slice topic, const leat_failure *failure);
void centrifuge_json_ping(leat_buf *out);
void centrifuge_json_history(leat_buf *out, leat_slice id, const leat_stored *stored);
void centrifuge_json_subscribed(leat_buf *out, const leat_subscribed *sub);
void centrifuge_json_sub(leat_buf *out, const leat_subscribed *sub);
leat_event *centrifuge_json_event(leat_event *e);

#endif
