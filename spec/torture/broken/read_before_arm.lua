-- The cursor starts as if it were armed only after the read: what came into the ring during the read is lost.
return {
  symptom = "a hole in seq",
  edits = {
    {
      func = "sub_send_snapshot",
      after = "s->next_seq = o->position.seq + 1;",
      insert = [[
    if (s->topic->head > o->position.seq)
        s->next_seq = s->topic->head + 1;
]],
    },
  },
}
