-- Each 64th event is sent twice.
return {
  symptom = "an event twice",
  edits = {
    {
      func = "deliver",
      after = "give(s, e);",
      insert = [[
    if (leat_event_seq(e) % 64 == 0)
        give(s, e);
]],
    },
  },
}
