-- Each 64th event is sent twice.
return {
  symptom = "an event twice",
  edits = {
    {
      func = "give",
      after = "client_send_event(s->client, e, s->topic->epoch);",
      insert = [[
    if (leat_event_seq(e) % 64 == 0)
        client_send_event(s->client, e, s->topic->epoch);
]],
    },
  },
}
