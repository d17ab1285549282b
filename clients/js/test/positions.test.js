import assert from "node:assert/strict";
import { it } from "node:test";
import { positionsOf } from "../src/client.js";

const read = (header) =>
  positionsOf(new Response(null, header === null ? {} : { headers: { "Leat-Position": header } }));

it("reads the positions of a route's answer", () => {
  const chat = { topic: "chat:42", epoch: "00000001-5a2a8861-ca2bfd3149a8", seq: 19 };
  const cheese = { topic: 'käse, 1%"', epoch: "g", seq: 8 };
  const [one, two] = ["chat:42 00000001-5a2a8861-ca2bfd3149a8:19", "k%C3%A4se%2C%201%25%22 g:8"];
  assert.deepEqual(read(one), [chat]);
  assert.deepEqual(read(`${one}, ${two}`), [chat, cheese]);
  assert.deepEqual(read(`${one},${two} `), [chat, cheese]); // as a proxy may join two headers
});

it("takes an answer without positions, or with what it does not know, for one that published nothing", () => {
  for (const header of [null, "", ",", "chat:42", "chat:42 e:", "chat:42 e:x", "% e:1", "chat:42 e:9007199254740993"]) {
    assert.deepEqual(read(header), [], String(header));
  }
});
