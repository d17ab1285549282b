-- No revocation concerns any subscriber: nobody's handler runs again.
return {
  symptom = "revoked at .* by (a skip|an event)",
  edits = {
    {
      func = "concerns",
      at_start = true,
      insert = [[
    if (true)
        return false;
]],
    },
    {
      func = "sub_in_doubt",
      at_start = true,
      insert = [[
    if (true)
        return false;
]],
    },
  },
}
