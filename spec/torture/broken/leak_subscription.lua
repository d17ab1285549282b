-- A subscription that ends before it has settled stays counted in its topic, which is therefore never let go.
return {
  symptom = "every client has left, and still: .*leat_topics",
  edits = {
    {
      func = "sub_bury",
      before = "if (s->cursor.topic != NULL)",
      insert = [[
    if (s->cursor.topic != NULL && s->work != NULL) {
        leat_list_unlink(&s->cursor.link);
        s->cursor.topic = NULL;
    }
]],
    },
  },
}
