-- The cursor starts as if it were armed only after the read: what came into the ring during the read is lost.
return {
  symptom = "a hole in seq|came to another state|clients came to",
  edits = {
    {
      func = "sub_send_snapshot",
      after = "s->cursor.next_seq = snapshot->position.seq + 1;",
      insert = [[
    if (s->cursor.topic->ring.head > snapshot->position.seq)
        s->cursor.next_seq = s->cursor.topic->ring.head + 1;
]],
    },
  },
}
