/* centrifuge_proto.h - the Protobuf form of Centrifugo's protocol, in two files: reading and
 * writing. Its messages are in centrifuge_proto.proto, from which nanopb makes
 * centrifuge_proto.pb.h.
 *
 * Ownership, threads, units, errors  as codec.h says: these are the functions of the codec.
 */
#ifndef LEAT_WIRE_CENTRIFUGE_PROTO_H
#define LEAT_WIRE_CENTRIFUGE_PROTO_H

#include "wire/codec.h"

bool centrifuge_proto_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub);
void centrifuge_proto_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub);
void centrifuge_proto_renewed(leat_buf *out, leat_slice id, uint64_t expires_s);
void centrifuge_proto_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written);
void centrifuge_proto_welcome(leat_buf *out, leat_slice id, const leat_welcome *welcome);
void centrifuge_proto_error(leat_buf *out, leat_slice id, const leat_failure *failure);
void centrifuge_proto_closed(leat_buf *out, leat_slice topic, const leat_failure *failure);
void centrifuge_proto_ping(leat_buf *out);
void centrifuge_proto_history(leat_buf *out, leat_slice id, const leat_stored *stored);
void centrifuge_proto_subscribed(leat_buf *out, const leat_subscribed *sub);
void centrifuge_proto_sub(leat_buf *out, const leat_subscribed *sub);
leat_event *centrifuge_proto_event(leat_event *e);

#endif
