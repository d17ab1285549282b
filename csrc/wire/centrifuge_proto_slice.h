/* centrifuge_proto_slice.h - how a text, bytes and a list are written, which the generated
 * structs (centrifuge_proto.proto) hold as a leat_slice.
 *
 * Ownership, threads, units, errors  nanopb's: false, and a sentence in the stream.
 */
#ifndef LEAT_WIRE_CENTRIFUGE_PROTO_SLICE_H
#define LEAT_WIRE_CENTRIFUGE_PROTO_SLICE_H

#include <pb.h>

#include "base/slice.h"

/* nanopb's callback for all fields of that type. An empty one is not written. A list is written as
 * it is: it holds its items with their tags and lengths. It is for writing only. */
bool centrifuge_proto_slice(pb_istream_t *from, pb_ostream_t *to, const pb_field_iter_t *field);

#endif
