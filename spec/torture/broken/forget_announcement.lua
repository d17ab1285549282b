-- The announcement of each 64th event is lost, and a topic that stands before such an event is not repaired.
return {
  symptom = "nothing comes",
  edits = {
    {
      func = "hub_topic_announce",
      before = "if (a->seq <= t->head)",
      insert = [[
    if (a->seq % 64 == 0)
        return true;
]],
    },
    {
      func = "hub_repair_want",
      at_start = true,
      insert = [[
    if (t->head % 64 == 63)
        return;
]],
    },
  },
}
