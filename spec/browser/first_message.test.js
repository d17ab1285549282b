/* A token that goes into the first message, and into no address. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { enter, launch, leave, open } from "./support/browser.js";
import { startServer } from "./support/server.js";

describe("the client with the token in the first message", () => {
  let server, browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** Connects in the page; the states and messages that it has seen, and the topic's title. */
  function connect(page, token) {
    return page.evaluate(async (token) => {
      const { connect } = await import("/leat/client.js");
      const seen = { states: [], out: [] };
      const leat = connect(
        "/ws",
        token.later ? { getToken: async () => token.later } : { token },
      );
      leat.addEventListener("message", ({ detail }) => {
        if (detail.direction === "out") seen.out.push(detail.text);
      });
      await new Promise((resolve) => {
        leat.addEventListener("state", ({ detail }) => {
          seen.states.push(detail.state);
          if (detail.state === "refused") resolve();
        });
        leat.subscribe("chat:42", {
          snapshot: (chat) => resolve((seen.title = chat.title)),
          event() {},
        });
      });
      leat.close();
      return seen;
    }, token);
  }

  async function openWatched() {
    const addresses = [];
    const page = await open(browser, server, {
      prepare: (page) => page.on("websocket", (socket) => addresses.push(socket.url())),
    });
    return { page, addresses };
  }

  it("is let in, and shows the token nowhere", async () => {
    for (const token of ["alice-token", { later: "alice-token" }]) {
      const { page, addresses } = await openWatched();
      const seen = await connect(page, token);
      assert.equal(typeof seen.title, "string");
      assert.match(seen.out[0], /^{"op":"authenticate"/);
      assert.ok(addresses.some((address) => address.endsWith("/ws?authenticate=message")));
      assert.doesNotMatch(JSON.stringify([addresses, seen]), /alice-token/);
      await leave(page);
    }
  });

  it("is the example's, too, which sends its token in no address", async () => {
    const addresses = [];
    const page = await enter(browser, server, "alice-token", {
      prepare: (page) => {
        page.on("websocket", (socket) => addresses.push(socket.url()));
        page.on("request", (request) => addresses.push(request.url().split("#")[0]));
      },
    });
    assert.ok(addresses.some((address) => /ws:.*[/]ws[?]authenticate=message$/.test(address)), addresses.join(" "));
    assert.doesNotMatch(addresses.join(" "), /alice-token/);
    await leave(page);
  });

  it("stops when the token is refused", async () => {
    const { page } = await openWatched();
    const seen = await connect(page, "nobody-token");
    assert.equal(seen.states.at(-1), "closed");
    assert.ok(seen.states.includes("refused"));
    await leave(page);
  });
});
