/* centrifuge.h - the client protocol of Centrifugo (version 2), so that its SDKs work here: JSON,
 * and Protobuf. docs/centrifuge.md says what maps to what.
 *
 * Ownership, threads, units, errors  as codec.h says.
 *
 * A frame holds several commands, one line each (JSON) or with its length before it (Protobuf).
 * What an answer looks like depends on the command. So the id of a message begins with two letters
 * that say what it answers (centrifuge_id), and its number follows.
 */
#ifndef LEAT_WIRE_CENTRIFUGE_H
#define LEAT_WIRE_CENTRIFUGE_H

#include "wire/codec.h"

#define LEAT_CENTRIFUGE_SUBPROTOCOL "centrifuge-json"
#define LEAT_CENTRIFUGE_PROTO_SUBPROTOCOL "centrifuge-protobuf"

extern const leat_codec leat_centrifuge_json;
extern const leat_codec leat_centrifuge_proto;

#endif
