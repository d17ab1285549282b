-- The announcement of each 16th event is lost, and a topic that stands before such an event is not repaired.
return {
  symptom = "nothing comes",
  edits = {
    {
      func = "take_announced",
      before = "if (a->seq <= t->at.seq)",
      insert = [[
    if (a->seq % 16 == 0)
        return true;
]],
    },
    {
      func = "hub_want_next",
      at_start = true,
      insert = [[
    if (t->at.seq % 16 == 15)
        return;
]],
    },
  },
}
