-- A subscription that ends before its answer stays counted in its topic, which is therefore never let go.
return {
  symptom = "every client has left, and still: .*leat_topics",
  edits = {
    {
      func = "sub_bury",
      before = "if (s->topic != NULL)",
      insert = [[
    if (s->topic != NULL && s->work != NULL && s->work->asked != NULL) {
        leat_list_unlink(&s->topic_link);
        s->topic = NULL;
    }
]],
    },
  },
}
